package store

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/towpath/towpath/pkg/client"
)

// Botpress's published limits.
const (
	maxPayload    = 131_072 // bytes, of messages, events and states
	maxTagValue   = 500     // characters
	maxName       = 200     // characters, of types, channels and names
	maxPictureURL = 40_000  // characters
)

func checkTags(tags client.Tags) error {
	for key, value := range tags {
		if key == "" {
			return client.NewError(client.InvalidPayload, "tags must not have an empty name")
		}
		if utf8.RuneCountInString(value) > maxTagValue {
			return client.NewError(client.InvalidPayload, "tag %q is longer than %d characters", key, maxTagValue)
		}
	}
	return nil
}

// checkName checks a field that must be given and is at most maxName long.
func checkName(field, value string) error {
	if value == "" {
		return client.NewError(client.InvalidPayload, "%s is required", field)
	}
	return checkLength(field, value, maxName)
}

func checkLength(field, value string, limit int) error {
	if utf8.RuneCountInString(value) > limit {
		return client.NewError(client.InvalidPayload, "%s is longer than %d characters", field, limit)
	}
	return nil
}

// checkObject checks a payload that must be a JSON object within the limit.
func checkObject(field string, payload json.RawMessage) error {
	if len(payload) > maxPayload {
		return client.NewError(client.PayloadTooLarge, "%s is larger than %d bytes", field, maxPayload)
	}
	if trimmed := bytes.TrimSpace(payload); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(trimmed) {
		return client.NewError(client.InvalidPayload, "%s must be a JSON object", field)
	}
	return nil
}
