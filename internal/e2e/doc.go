// Package e2e gives nothing but its tests: the whole house in one process, the real binaries killed
// under load, and the pages in a real browser.
package e2e
