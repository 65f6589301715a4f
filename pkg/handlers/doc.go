// Package handlers is what an integration is written with.
//
// An integration is one value, an [Integration] over its own configuration
// type. Its definition is read off that same value, so the two cannot drift
// apart; a handler with another integration's configuration, or with the wrong
// payload or result, does not compile. Below the generics, the runtime sees
// every integration as an [Installed].
//
// What a handler's error means is decided in one place, [Judge]: an error is
// retried unless it is marked as [Permanent], as [Unauthorized], or is a
// [RuntimeError], which is meant for the bot's owner.
package handlers
