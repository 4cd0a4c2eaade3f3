// Package checktest gives the suite that every check kind passes, and the strange targets it is tried on.
package checktest
