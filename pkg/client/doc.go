// Package client is what an integration or a bot may ask of Towpath: users,
// conversations, messages, events, states and actions, in Botpress's words.
//
// Every operation is a row of one table, [Operations]. The HTTP API routes by
// it, the HTTP backend calls by it, and the store answers by it, so the three
// cannot disagree. A [Client] binds the table to one caller and gives every
// effect an identity, so that a handler that runs again doubles nothing.
package client
