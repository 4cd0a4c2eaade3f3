//go:build unix

package server

import "syscall"

const errPortInUse = syscall.EADDRINUSE
