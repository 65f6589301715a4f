package broker

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
)

// Stream names a stream.
type Stream string

// The streams.
const (
	Webhooks    Stream = "WEBHOOKS"
	Commands    Stream = "COMMANDS"
	Wakeups     Stream = "WAKEUPS"
	Events      Stream = "EVENTS"
	DeadLetters Stream = "DEADLETTERS"
	Logs        Stream = "LOGS"
	Recordings  Stream = "RECORDINGS"
)

// Queues are the streams that workers take work from.
var Queues = []Stream{Webhooks, Commands}

// prefix is the first token of a stream's subjects.
func (s Stream) prefix() string { return strings.ToLower(string(s)) }

// keylessSpread is over how many subjects deliveries without an ordering key
// are spread, so that they share the partitions evenly.
const keylessSpread = 64

// Lane is the subject that a queue stores one ordering key of one installation
// under: "webhooks.<partition>.<installation>.<key>".
type Lane string

// Keyless tells a lane whose deliveries need no order among each other.
func (l Lane) Keyless() bool { return strings.HasPrefix(l.token(3), "_") }

// Installation is the webhook id of the installation.
func (l Lane) Installation() string { return l.token(2) }

// Key is the lane's name without the partition, so that it stays the same
// should the number of partitions ever change.
func (l Lane) Key() string { return l.token(0) + "." + l.token(2) + "." + l.token(3) }

func (l Lane) token(n int) string {
	tokens := strings.Split(string(l), ".")
	if n >= len(tokens) {
		return ""
	}
	return tokens[n]
}

// inbound is the subject that is published to; the stream stores the message
// under a [Lane], with the partition that the server computes.
func inbound(stream Stream, installation, keyToken string) string {
	return stream.prefix() + ".in." + Token(installation) + "." + keyToken
}

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// keyToken makes one subject token of an ordering key. Keys are whatever a
// platform uses; hashing makes them safe and of one length.
func keyToken(key, delivery string) string {
	if key == "" {
		sum := sha256.Sum256([]byte(delivery))
		return "_" + strconv.Itoa(int(sum[0])%keylessSpread)
	}
	return KeyToken(key)
}

// KeyToken is what stands for an ordering key in subjects.
func KeyToken(key string) string {
	sum := sha256.Sum256([]byte(key))
	return lower.EncodeToString(sum[:16])
}

// Token makes one subject or key token of any string. Letters, digits, dash
// and underscore stand for themselves, so that ids stay readable.
func Token(s string) string {
	if s == "" {
		return "="
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// Key joins tokens to a bucket's key.
func Key(tokens ...string) string {
	encoded := make([]string, len(tokens))
	for i, token := range tokens {
		encoded[i] = Token(token)
	}
	return strings.Join(encoded, ".")
}
