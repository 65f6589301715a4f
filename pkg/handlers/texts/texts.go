// Package texts makes texts fit into what platforms take, and texts of messages
// that are none. Platforms count differently, so each function that measures is
// told how: in [UTF16] units as Telegram does, in [Characters], in [Bytes], or in
// those of [JSON].
package texts

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// UTF16 is what a character counts in UTF-16 units: most emoji count two.
func UTF16(r rune) int { return max(utf16.RuneLen(r), 1) }

// Characters counts every character once.
func Characters(rune) int { return 1 }

// Bytes is what a character counts in bytes of UTF-8.
func Bytes(r rune) int { return max(utf8.RuneLen(r), 1) }

// JSON is what a character counts in bytes of a JSON string as package
// encoding/json writes it, which is how much room it takes in a payload.
func JSON(r rune) int {
	switch r {
	case '"', '\\', '\b', '\f', '\n', '\r', '\t':
		return 2
	case '<', '>', '&', '\u2028', '\u2029', utf8.RuneError:
		return 6
	}
	if r < ' ' {
		return 6
	}
	return Bytes(r)
}

// Length is how long a text is by a measure.
func Length(text string, measure func(rune) int) int {
	n := 0
	for _, r := range text {
		n += measure(r)
	}
	return n
}

// Cut shortens a text to at most limit, with an ellipsis in place of what is
// missing. It takes a word apart, but no character.
func Cut(text string, limit int, measure func(rune) int) string {
	const ellipsis = "…"
	if fits(text, limit, measure) == len(text) {
		return text
	}
	end := fits(text, limit-measure('…'), measure)
	return strings.TrimRightFunc(text[:whole(text, end)], unicode.IsSpace) + ellipsis
}

// Split takes a text apart into parts of at most limit each. It cuts behind the
// last paragraph that fits, if that fills half of the limit, else behind the
// last such line, else behind the last word, and only when a single word is too
// long inside it: then between two characters, where an emoji or a letter of
// several code points counts as one, unless it alone is longer than the limit.
//
// Nothing is lost or changed but the white space at a cut: all of it when it is
// between words; when it has a line break, what comes up to its last one, so
// that a line keeps its indentation. No part is empty or white space alone. A
// text that fits is one part, as it is; an empty one has none.
//
// The limit has to hold any one character: one that measures more is a part of
// its own. The text is valid UTF-8, as whatever came as JSON is.
func Split(text string, limit int, measure func(rune) int) []string {
	var parts []string
	for text != "" {
		end := fits(text, limit, measure)
		if end == len(text) {
			if len(parts) == 0 || strings.TrimSpace(text) != "" {
				parts = append(parts, text)
			}
			break
		}
		if end == 0 {
			_, end = utf8.DecodeRuneInString(text)
		}
		at := cutAt(text, end)
		part := strings.TrimRightFunc(text[:at], unicode.IsSpace)
		if part != "" {
			parts = append(parts, part)
		}
		text = afterCut(text[len(part):], part == "")
	}
	return parts
}

// afterCut takes the white space at a cut away from what follows it. Where
// nothing stood before it, indentation would be all that is left.
func afterCut(rest string, all bool) string {
	follows := strings.TrimLeftFunc(rest, unicode.IsSpace)
	space := rest[:len(rest)-len(follows)]
	if line := strings.LastIndexByte(space, '\n'); line >= 0 && !all {
		return rest[line+1:]
	}
	return follows
}

// fits returns how many bytes of a text are within the limit.
func fits(text string, limit int, measure func(rune) int) int {
	for i, r := range text {
		if limit -= measure(r); limit < 0 {
			return i
		}
	}
	return len(text)
}

// cutAt returns where to cut a text of which the first end bytes fit.
func cutAt(text string, end int) int {
	// White space right behind what fits is a place to cut, too.
	reach := end + len(text[end:]) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
	window := text[:reach]
	if at := paragraph(window); at >= end/2 {
		return min(at, end)
	}
	if at := strings.LastIndexByte(window, '\n'); at >= end/2 && at > 0 {
		return min(at, end)
	}
	at := strings.LastIndexFunc(window, unicode.IsSpace)
	if at > 0 && strings.TrimSpace(text[:at]) != "" {
		return min(at, end)
	}
	return whole(text, end)
}

// paragraph returns where the last blank line begins, -1 if there is none.
func paragraph(text string) int {
	at := strings.LastIndex(text, "\n\n")
	if windows := strings.LastIndex(text, "\n\r\n"); windows > at {
		at = windows
	}
	if at == 0 {
		return -1
	}
	return at
}

// whole moves a cut back to where a character of several code points begins. A
// character that begins the text stays cut.
func whole(text string, end int) int {
	for at := end; at > 0; {
		before, size := utf8.DecodeLastRuneInString(text[:at])
		next, _ := utf8.DecodeRuneInString(text[at:])
		if at == len(text) || !joined(text[:at], before, next) {
			return at
		}
		at -= size
	}
	return end
}

const (
	joiner     = '\u200d'
	firstSkin  = '\U0001f3fb'
	lastSkin   = '\U0001f3ff'
	firstFlag  = '\U0001f1e6' // two of them make a flag
	lastFlag   = '\U0001f1ff'
	firstLabel = '\U000e0020' // of a flag that is spelt out
	lastLabel  = '\U000e007f'
)

// joined tells whether two code points are shown as one character, as far as
// that is cheap to tell.
func joined(text string, before, next rune) bool {
	switch {
	case unicode.Is(unicode.M, next), next == joiner, before == joiner, before == '\r' && next == '\n',
		next >= firstSkin && next <= lastSkin, next >= firstLabel && next <= lastLabel:
		return true
	case isFlag(before) && isFlag(next):
		return trailingFlags(text)%2 == 1
	}
	return false
}

func isFlag(r rune) bool { return r >= firstFlag && r <= lastFlag }

// trailingFlags counts the halves of flags at the end of a text.
func trailingFlags(text string) int {
	n := 0
	for {
		r, size := utf8.DecodeLastRuneInString(text)
		if size == 0 || !isFlag(r) {
			return n
		}
		text = text[:len(text)-size]
		n++
	}
}
