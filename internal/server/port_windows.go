package server

import "syscall"

const errPortInUse = syscall.Errno(10048) // WSAEADDRINUSE
