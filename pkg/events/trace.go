package events

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// TraceParent returns the W3C trace context of one attempt at a delivery. The
// trace id comes from the delivery alone, so that every attempt, and all that
// follows from it, is one trace; the span id names the attempt.
func TraceParent(delivery string, attempt int) string {
	trace := digest("trace", delivery)
	span := digest("span", delivery, strconv.Itoa(attempt))
	return "00-" + hex.EncodeToString(trace[:16]) + "-" + hex.EncodeToString(span[:8]) + "-01"
}

// TraceID returns the trace id of a traceparent, or "" when it has none.
func TraceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 {
		return ""
	}
	return parts[1]
}
