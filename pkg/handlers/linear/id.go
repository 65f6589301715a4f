package linear

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Linear lets a client choose the ids of what it makes: UUIDs of version 4. So
// an id is made of what it is made for, and ends in a mark by which an
// installation knows what it made itself, whenever that comes back; it may come
// back before the answer that says that it was made.
const (
	versionByte = 6
	variantByte = 8
	markAt      = 9 // bytes before it tell what for, 7 bytes from there are the mark
)

// idFor returns the id of what an installation makes for a delivery. It is the
// same in each attempt.
func idFor(installation, delivery, what string) string {
	var id [16]byte
	copy(id[:markAt], digest("id", installation, delivery, what))
	id = version4(id)
	copy(id[markAt:], mark(installation, id[:markAt]))
	return uuid(id)
}

// isOwn tells whether an installation made what has that id.
func isOwn(installation, id string) bool {
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	return err == nil && len(raw) == 16 &&
		subtle.ConstantTimeCompare(raw[markAt:], mark(installation, raw[:markAt])[:16-markAt]) == 1
}

// version4 sets the bits that say that an id is a UUID of version 4; all of
// them stand before the mark.
func version4(id [16]byte) [16]byte {
	id[versionByte] = id[versionByte]&0x0f | 0x40
	id[variantByte] = id[variantByte]&0x3f | 0x80
	return id
}

// uuid writes an id as a UUID of version 4.
func uuid(id [16]byte) string {
	id = version4(id)
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func mark(installation string, id []byte) []byte { return digest("mark", installation, string(id)) }

// digest hashes parts so that no two lists of parts run together.
func digest(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
