// Package ingest takes platforms' webhooks in: it verifies each, and answers
// 2xx only once NATS has confirmed that it is stored on disk.
//
// It runs no handler and decides nothing that could fail later, so that it can
// answer within the few seconds that platforms give. What it cannot store it
// refuses with 503, and the platform sends it again.
package ingest
