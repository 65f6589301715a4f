package signature

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// parse reads a timestamp, strictly: see [Unit] for why the number of digits counts.
func (u Unit) parse(text string) (time.Time, error) {
	unreadable := refuse(Malformed, "the timestamp is not in unit %s", u)
	if u == RFC3339 {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return time.Time{}, unreadable
		}
		return at, nil
	}
	digits := 10
	if u == Milliseconds {
		digits = 13
	}
	if len(text) != digits || strings.Trim(text, "0123456789") != "" {
		return time.Time{}, unreadable
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, unreadable
	}
	if u == Milliseconds {
		return time.UnixMilli(n), nil
	}
	return time.Unix(n, 0), nil
}

func (u Unit) format(at time.Time) string {
	switch u {
	case RFC3339:
		return at.UTC().Format(time.RFC3339)
	case Milliseconds:
		return strconv.FormatInt(at.UnixMilli(), 10)
	default:
		return strconv.FormatInt(at.Unix(), 10)
	}
}

// check refuses a time that is too far from now.
func (t Tolerance) check(at, now time.Time) error {
	age := now.Sub(at)
	switch {
	case t.Past > 0 && age > time.Duration(t.Past):
		return refuse(Stale, "signed %s ago, tolerated are %s", age.Round(time.Millisecond), time.Duration(t.Past))
	case t.Future > 0 && age < -time.Duration(t.Future): // not -age, which overflows at the far end
		return refuse(Early, "signed %s ahead, tolerated are %s", (-age).Round(time.Millisecond), time.Duration(t.Future))
	}
	return nil
}

// bodyTime reads the time a JSON body holds.
func (t Timestamp) bodyTime(body []byte) (time.Time, error) {
	start, end, err := t.locate(body)
	if err != nil {
		return time.Time{}, err
	}
	text := string(body[start:end])
	if text[0] == '"' {
		if err := json.Unmarshal(body[start:end], &text); err != nil {
			return time.Time{}, refuse(Malformed, "body: %s is not a string", t.BodyPath)
		}
	}
	return t.Unit.parse(text)
}

// setBodyTime returns the body with its time set, and every other byte as it was. The time must be there already,
// because what a number or a string stands beside is the sender's business.
func (t Timestamp) setBodyTime(body []byte, at time.Time) ([]byte, error) {
	start, end, err := t.locate(body)
	if err != nil {
		return nil, err
	}
	text := t.Unit.format(at)
	if body[start] == '"' {
		text = strconv.Quote(text)
	}
	return bytes.Join([][]byte{body[:start], []byte(text), body[end:]}, nil), nil
}

// locate finds the first scalar at the body path, without building the values it passes.
func (t Timestamp) locate(body []byte) (start, end int, err error) {
	unreadable := refuse(Malformed, "body: no JSON object that leads to %s", t.BodyPath)
	decoder := json.NewDecoder(bytes.NewReader(body))
	for key := range strings.SplitSeq(t.BodyPath, ".") {
		if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
			return 0, 0, unreadable
		}
		for {
			name, err := decoder.Token()
			if err != nil {
				return 0, 0, unreadable
			}
			if name == json.Delim('}') {
				return 0, 0, refuse(Missing, "body: %s is not there", t.BodyPath)
			}
			if name == key {
				break
			}
			var passed json.RawMessage
			if err := decoder.Decode(&passed); err != nil {
				return 0, 0, unreadable
			}
		}
	}
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil || value[0] == '{' || value[0] == '[' {
		return 0, 0, unreadable
	}
	end = int(decoder.InputOffset())
	return end - len(value), end, nil
}
