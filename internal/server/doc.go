// Package server gives the composer: it opens the rooms, joins the door each one declares to the room
// that fits it, starts them, and stops them in reverse. It decides nothing else.
package server
