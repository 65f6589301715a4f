// Package cli is the command line: every process of Towpath and every
// operator's verb. The binaries in cmd, and those that others build with their
// own integrations, are this package with a list of integrations.
package cli
