package dispatch

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hider takes secrets out of what is kept: those that are known, in whatever
// form they are sent, and what stands under a name that says that it is one,
// such as a token that was derived or has just been given out.
type hider struct{ known *strings.Replacer }

const hidden = "[secret]"

// replacerOf hides secrets as they are, and as JSON, URLs, forms and basic
// authentication write them.
func replacerOf(secrets []string) *strings.Replacer {
	forms := map[string]bool{}
	for _, secret := range secrets {
		quoted, _ := json.Marshal(secret) // a string always can be
		var plain strings.Builder
		encoder := json.NewEncoder(&plain)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(secret)
		for _, form := range []string{
			secret, strings.Trim(string(quoted), `"`), strings.Trim(strings.TrimSpace(plain.String()), `"`),
			url.QueryEscape(secret), url.PathEscape(secret),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret + ":")),
			base64.StdEncoding.EncodeToString([]byte(":" + secret)),
		} {
			forms[form] = true
		}
	}
	all := make([]string, 0, len(forms))
	for form := range forms {
		all = append(all, form)
	}
	// The longest first: one secret may begin with another.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, form := range all {
		pairs = append(pairs, form, hidden)
	}
	return strings.NewReplacer(pairs...)
}

// A name that says that its value is a secret, as JSON and as forms and queries
// have them. Tokens that page through a list are none.
const secretName = `(?:[a-z0-9_.-]*(?:secret(?:_?token)?|password|passwd|api_?key|private_?key|access_?token|refresh_?token|bot_?token|auth_?token|id_?token|client_?token|verify_?token)|token)` //nolint:gosec // names of secrets, and none itself

var (
	secretField = regexp.MustCompile(`(?i)("` + secretName + `"\s*:\s*)"(?:[^"\\]|\\.)*"`)
	secretParam = regexp.MustCompile(`(?i)((?:^|[?&\s])` + secretName + `=)[^&\s]+`)
)

// Replace returns a text without secrets.
func (h hider) Replace(text string) string {
	text = h.known.Replace(text)
	text = secretField.ReplaceAllString(text, `$1"`+hidden+`"`)
	return secretParam.ReplaceAllString(text, `$1`+hidden)
}
