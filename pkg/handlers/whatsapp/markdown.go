package whatsapp

import (
	"regexp"
	"strings"
)

// markup says how WhatsApp writes what Markdown writes differently. What is
// alike, such as lists, quotes and `code`, stays.
var markup = []struct {
	markdown *regexp.Regexp
	whatsapp string
}{
	{regexp.MustCompile(`(?m)^#{1,6}[ \t]+(?:\*\*)?(.*?)(?:\*\*)?[ \t]*#*$`), "**$1**"},
	{regexp.MustCompile(`!?\[([^\]\n]+)\]\(([^)\s]+)[^)\n]*\)`), "$1 ($2)"},
	{regexp.MustCompile(`(^|[^*\w])\*([^*\s][^*\n]*?)\*([^*\w]|$)`), "${1}_${2}_${3}"},
	{regexp.MustCompile(`\*\*([^*\n]+?)\*\*`), "*$1*"},
	{regexp.MustCompile(`__([^_\n]+?)__`), "*$1*"},
	{regexp.MustCompile(`~~([^~\n]+?)~~`), "~$1~"},
}

// formatted is Markdown in WhatsApp's own markup. Blocks of code are left alone.
func formatted(text string) string {
	blocks := strings.Split(text, "```")
	for i := 0; i < len(blocks); i += 2 {
		for _, one := range markup {
			blocks[i] = one.markdown.ReplaceAllString(blocks[i], one.whatsapp)
		}
	}
	return strings.Join(blocks, "```")
}
