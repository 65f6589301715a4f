package texts_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers/texts"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text    string
		limit   int
		measure func(rune) int
		want    []string
	}{
		"nothing":                       {"", 10, texts.Characters, nil},
		"what fits stays as it is":      {" a\n", 10, texts.Characters, []string{" a\n"}},
		"at words":                      {"one two three four", 9, texts.Characters, []string{"one two", "three", "four"}},
		"right behind what fits":        {"one two", 3, texts.Characters, []string{"one", "two"}},
		"at paragraphs before words":    {"one two\n\nthree four five", 16, texts.Characters, []string{"one two", "three four five"}},
		"at paragraphs before lines":    {"one\n\ntwo\nsix", 7, texts.Characters, []string{"one", "two\nsix"}},
		"at lines before words":         {"one two\nthree four", 14, texts.Characters, []string{"one two", "three four"}},
		"no early paragraph":            {"a\n\nbbbb cccc dddd", 12, texts.Characters, []string{"a\n\nbbbb cccc", "dddd"}},
		"lines keep their indentation":  {"for {\n\trun()\n}", 8, texts.Characters, []string{"for {", "\trun()\n}"}},
		"a word that is too long":       {"abcdefgh ij", 5, texts.Characters, []string{"abcde", "fgh", "ij"}},
		"UTF-16 units":                  {"😀😀😀", 5, texts.UTF16, []string{"😀😀", "😀"}},
		"bytes":                         {"ééé", 5, texts.Bytes, []string{"éé", "é"}},
		"an accent of its own":          {"aae\u0301b", 3, texts.Characters, []string{"aa", "e\u0301b"}},
		"a family":                      {"ab👩\u200d👩\u200d👧c", 5, texts.Characters, []string{"ab", "👩\u200d👩\u200d👧", "c"}},
		"flags":                         {"a🇳🇱🇩🇪", 4, texts.Characters, []string{"a🇳🇱", "🇩🇪"}},
		"a skin tone":                   {"aa👍🏽", 3, texts.Characters, []string{"aa", "👍🏽"}},
		"more accents than fit":         {"e\u0301\u0301\u0301", 2, texts.Characters, []string{"e\u0301", "\u0301\u0301"}},
		"a character too large":         {"a😀b", 1, texts.UTF16, []string{"a", "😀", "b"}},
		"white space alone, more of it": {"     ", 2, texts.Characters, nil},
		"white space first":             {"          abc", 5, texts.Characters, []string{"abc"}},
		"white space last":              {"abc          ", 5, texts.Characters, []string{"abc"}},
		"bytes that are no text":        {"a\xff\xfe\xfdb", 2, texts.Characters, []string{"a\xff", "\xfe\xfd", "b"}},
		"lines of Windows":              {"one\r\n\r\ntwo", 6, texts.Characters, []string{"one", "two"}},
		"many blank lines":              {"one\n\n\n\n\n\n\ntwo", 5, texts.Characters, []string{"one", "two"}},
		"more indentation than may be":  {"one\n          two", 5, texts.Characters, []string{"one", "two"}},
		"white space first that fits":   {"\n\nabcdef", 4, texts.Characters, []string{"\n\nab", "cdef"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, texts.Split(tc.text, tc.limit, tc.measure)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text    string
		limit   int
		measure func(rune) int
		want    string
	}{
		"what fits":     {"abc", 3, texts.Characters, "abc"},
		"what does not": {"abcd", 3, texts.Characters, "ab…"},
		"at a space":    {"a bcd", 3, texts.Characters, "a…"},
		"in bytes":      {"éééé", 7, texts.Bytes, "éé…"},
		"a flag":        {"a🇳🇱b", 3, texts.Characters, "a…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := texts.Cut(tc.text, tc.limit, tc.measure); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("one two\n\nthree four\n\tfive", 9, uint8(0))
	f.Add("👩\u200d👩\u200d👧 🇳🇱🇩🇪 e\u0301\u0301", 4, uint8(1))
	f.Add("\xff\xfe \r\n\r\n \u2028é", 3, uint8(2))
	f.Add("   \n\n   ", 2, uint8(0))
	f.Fuzz(func(t *testing.T, text string, limit int, kind uint8) {
		measure := []func(rune) int{texts.Characters, texts.UTF16, texts.Bytes}[kind%3]
		limit = 4 + int(uint(limit)%60)            // what holds any one character
		text = strings.ToValidUTF8(text, "\uFFFD") // as whatever came as JSON is
		parts := texts.Split(text, limit, measure)
		rest := text
		for i, part := range parts {
			if part == "" || len(parts) > 1 && strings.TrimSpace(part) == "" {
				t.Errorf("part %d of %q is blank: %q", i, text, parts)
			}
			if n := texts.Length(part, measure); n > limit {
				t.Errorf("part %d measures %d, more than %d", i, n, limit)
			}
			if utf8.ValidString(text) && !utf8.ValidString(part) {
				t.Errorf("part %d takes a character apart: %q", i, part)
			}
			before, after, found := strings.Cut(rest, part)
			if !found || strings.TrimSpace(before) != "" {
				t.Fatalf("part %d, %q, is not what follows in %q", i, part, rest)
			}
			rest = after
		}
		if strings.TrimFunc(rest, unicode.IsSpace) != "" {
			t.Errorf("%q is lost", rest)
		}
		if cut := texts.Cut(text, limit, measure); texts.Length(cut, measure) > limit {
			t.Errorf("cut to %q", cut)
		}
	})
}

func TestJSONIsWhatIsWritten(t *testing.T) {
	t.Parallel()
	for r := range rune(0x11000) {
		if r >= 0xd800 && r <= 0xdfff {
			continue // none of them is a character
		}
		encoded, err := json.Marshal(string(r))
		if err != nil {
			t.Fatal(err)
		}
		// The replacement character is written as it is, but what stands for
		// it, a byte that is no text, is escaped.
		if got, want := texts.JSON(r), len(encoded)-2; got < want || got > want && r != '\ufffd' {
			t.Errorf("%U counts %d, want %d", r, got, want)
		}
	}
	if encoded, err := json.Marshal("\xff"); err != nil || texts.Length("\xff", texts.JSON) != len(encoded)-2 {
		t.Errorf("%v: %d, written %s", err, texts.Length("\xff", texts.JSON), encoded)
	}
}
