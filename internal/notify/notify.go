// Package notify gives word of incidents to people.
package notify
