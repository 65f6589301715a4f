package events

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

const deliveryPrefix = "dlv_"

// DeliveryID returns the stable id of what a provider delivers: the same
// installation and provider id always give the same delivery, whenever and
// however often it arrives. It has the form "dlv_" and 26 characters.
func DeliveryID(installation, providerID string) string {
	return deliveryPrefix + ulid.ULID(digest(installation, providerID)[:16]).String()
}

// EffectID returns the id of something a handler made: derived from the
// effect's identity, so that a handler that runs again makes the same thing,
// and led by the time, so that ids sort by it. The time must be one that no
// attempt changes, such as that of the delivery.
func EffectID(prefix string, at time.Time, identity string) string {
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(at))
	_ = id.SetEntropy(digest(prefix, identity)[:10])
	return prefix + "_" + id.String()
}

// NewID returns a fresh id of the same form for what has no identity to derive
// one from. Ids of one process never go back within a millisecond.
func NewID(prefix string) string { return prefix + "_" + ulid.Make().String() }

// Nonce returns 26 characters that nobody can guess, for tokens and secrets.
func Nonce() string { return rand.Text() }

// TimeOf reads the time out of an id that EffectID or NewID made. It reports
// false for ids of other makers and for delivery ids, which carry none.
func TimeOf(id string) (time.Time, bool) {
	if len(id) < ulid.EncodedSize+1 || strings.HasPrefix(id, deliveryPrefix) {
		return time.Time{}, false
	}
	parsed, err := ulid.ParseStrict(id[len(id)-ulid.EncodedSize:])
	if err != nil {
		return time.Time{}, false
	}
	return ulid.Time(parsed.Time()), true
}

// digest hashes parts so that no two lists of parts run together.
func digest(parts ...string) []byte {
	h := sha256.New()
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
