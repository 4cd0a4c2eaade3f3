package client

// Difference is opened for the tests.
var Difference = difference
