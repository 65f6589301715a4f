// Package pace keeps one installation's trouble from becoming everyone's: it
// says when work may run.
//
//   - [Turns] shares one worker's slots among installations, so that a slow one
//     slows only itself.
//   - [Rates] keeps all workers together within what a platform takes.
//   - [Breaker] stops all workers from asking a platform that is down, and
//     finds out when it is back.
//
// It knows nothing of deliveries nor of handlers: whoever runs them asks
// before, and reports after.
package pace
