// Package replay reads streams back: what happened, in which order, and what
// it led to.
package replay
