package shape

import (
	"muster"
	"muster/api"
)

// Enrollment gives the API's shape of an enrolment, without token and command.
func Enrollment(e *muster.Enrollment) api.Enrollment {
	return api.Enrollment{
		Object:    api.Object{ID: string(e.ID), Rev: e.Rev, CreatedAt: e.CreatedAt.UTC(), UpdatedAt: e.UpdatedAt.UTC()},
		ExpiresAt: e.ExpiresAt.UTC(), UsesLeft: e.UsesLeft,
	}
}

// Event gives the API's shape of a line of the changelog.
func Event(e *muster.Event) api.Event {
	return api.Event{ID: e.ID, At: e.At.UTC(), Kind: e.Kind, Actor: e.Actor, Subject: e.Subject, Name: e.Name, Text: e.Text}
}

// Token gives the API's shape of an API token, without its secret.
func Token(t *muster.Token) api.Token {
	return api.Token{
		Object: api.Object{ID: string(t.ID), Rev: t.Rev, CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC()},
		Name:   t.Name, Role: string(t.Role), LastUsedAt: Time(t.LastUsedAt),
	}
}

// User gives the API's shape of a person.
func User(u *muster.User) api.User {
	return api.User{
		Object: api.Object{ID: string(u.ID), Rev: u.Rev, CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC()},
		Name:   u.Name, Role: string(u.Role), Password: u.PasswordHash != "",
	}
}
