package rest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longest is the longest that a platform can make a delivery wait.
const longest = 24 * time.Hour

// RetryAfter reads how long a platform asks to wait before the next request,
// out of an answer's status and headers; ok is false when it does not say.
//
// Retry-After counts with 429, with 5xx and with 403. The resets of a limit,
// RateLimit-Reset, X-RateLimit-Reset and X-RateLimit-Reset-After, count only
// where the limit is the reason: with 429, and with 403 if none remain, as
// GitHub writes it. All of them come in the forms that [Until] reads.
func RetryAfter(status int, header http.Header, now time.Time) (after time.Duration, ok bool) {
	if status != http.StatusTooManyRequests && status != http.StatusForbidden && status < 500 {
		return 0, false
	}
	if after, ok = Until(header.Get("Retry-After"), now); ok {
		return after, true
	}
	remaining := header.Get("X-Ratelimit-Remaining")
	if remaining == "" {
		remaining = header.Get("Ratelimit-Remaining")
	}
	if status == http.StatusTooManyRequests && remaining == "" || status < 500 && remaining == "0" {
		for _, name := range []string{"X-Ratelimit-Reset-After", "Ratelimit-Reset", "X-Ratelimit-Reset"} {
			if after, ok = Until(header.Get(name), now); ok {
				return after, true
			}
		}
	}
	return 0, false
}

// From these on a number is no span of time, but a time: in seconds from 2001
// on, in milliseconds likewise.
const (
	leastSeconds = 1e9
	leastMillis  = 1e12
)

// Until reads a time to wait until, in any form that platforms write it in: as
// seconds from now, with a fraction or without ("2.0"); as seconds or
// milliseconds since 1970, told apart by their size; as an HTTP date in each of
// its three formats. The result is never negative and at most 24 hours.
func Until(value string, now time.Time) (after time.Duration, ok bool) {
	value = strings.TrimSpace(value)
	if at, err := http.ParseTime(value); err == nil {
		return capped(at.Sub(now)), true
	}
	// ParseFloat reads more than platforms write: names, hexadecimals, signs.
	if value == "" || strings.Trim(value, "0123456789.") != "" {
		return 0, false
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0, false
	}
	switch {
	case number >= leastMillis:
		number -= float64(now.UnixMilli())
		number /= 1000
	case number >= leastSeconds:
		number -= float64(now.UnixMilli()) / 1000
	}
	// Compared before it is converted: a Duration holds no more than 292 years.
	if number >= longest.Seconds() {
		return longest, true
	}
	return capped(time.Duration(number * float64(time.Second))), true
}

func capped(d time.Duration) time.Duration { return min(max(d, 0), longest) }
