package store

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/towpath/towpath/pkg/events"
)

// Bot is a bot as it is stored. Its token is not: only its hash.
type Bot struct {
	ID        string    `json:"id"`
	TokenHash string    `json:"tokenHash"` // SHA-256 in hex; empty when no token was given
	URL       string    `json:"url,omitempty"`
	UserID    string    `json:"userId"` // the user that the bot's messages are from
	CreatedAt time.Time `json:"createdAt"`
}

// hashToken returns the hash of a token, and nothing for no token, so that an
// empty one never matches.
func hashToken(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// botUserID is the id of a bot's user, the same in every installation.
func botUserID(bot string) string { return events.EffectID("user", time.UnixMilli(0), "bot:"+bot) }
