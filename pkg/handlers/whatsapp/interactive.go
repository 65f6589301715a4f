package whatsapp

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// How much goes into buttons and lists.
const (
	maxButtons     = 3
	maxButtonTitle = 20
	maxButtonID    = 256
	maxRows        = 10
	maxRowTitle    = 24
	maxRowID       = 200
	maxDescription = 72
	maxBody        = 1024
)

// interactive is a message with buttons, a list or a link to tap.
type interactive struct {
	Type   string  `json:"type"`
	Header *header `json:"header,omitempty"`
	Body   body    `json:"body"`
	Action action  `json:"action"`
}

type header struct {
	Type  string    `json:"type"`
	Image *outMedia `json:"image,omitempty"`
}

type body struct {
	Text string `json:"text"`
}

type action struct {
	Buttons    []button    `json:"buttons,omitempty"`
	Button     string      `json:"button,omitempty"` // opens the list
	Sections   []section   `json:"sections,omitempty"`
	Name       string      `json:"name,omitempty"`
	Parameters *linkTarget `json:"parameters,omitempty"`
}

type button struct {
	Type  string `json:"type"`
	Reply row    `json:"reply"`
}

type section struct {
	Rows []row `json:"rows"`
}

type row struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

type linkTarget struct {
	Text string `json:"display_text"`
	URL  string `json:"url"`
}

func choice(m events.Choice) ([]outbound, error) { return ask(m.Text, m.Options, true), nil }

func dropdown(m events.Dropdown) ([]outbound, error) { return ask(m.Text, m.Options, false), nil }

// ask is a question with up to three buttons, if they are wanted and their
// labels are short enough, or with a list of up to ten rows. Everything else
// becomes a text with a numbered list.
func ask(question string, options []events.Option, buttons bool) []outbound {
	switch {
	case len(options) == 0:
		return says(question)
	case !distinct(options) || len(options) > maxRows:
		return says(numbered(question, options))
	case buttons && len(options) <= maxButtons && shorterThan(options, maxButtonTitle, maxButtonID):
		return asked(question, interactive{Type: "button", Action: action{Buttons: buttonsOf(options)}})
	case shorterThan(options, maxDescription, maxRowID):
		return asked(question, interactive{Type: "list", Action: action{Button: "Choose", Sections: []section{{rowsOf(options)}}}})
	default:
		return says(numbered(question, options))
	}
}

// asked puts a question before what answers it. A body takes less than a text:
// what is too much goes before it.
func asked(question string, what interactive) []outbound {
	var parts []outbound
	split := texts.Split(strings.TrimSpace(question), maxBody, texts.UTF16)
	for len(split) > 1 {
		parts, split = append(parts, says(split[0])...), split[1:]
	}
	what.Body.Text = "…" // a body must not be empty
	if len(split) == 1 {
		what.Body.Text = split[0]
	}
	return append(parts, outbound{Type: "interactive", Interactive: &what})
}

func buttonsOf(options []events.Option) []button {
	all := make([]button, 0, len(options))
	for _, option := range options {
		all = append(all, button{"reply", row{ID: option.Value, Title: option.Label}})
	}
	return all
}

// rowsOf has labels that are too long for a title again, whole, as description.
func rowsOf(options []events.Option) []row {
	all := make([]row, 0, len(options))
	for _, option := range options {
		one := row{ID: option.Value, Title: texts.Cut(option.Label, maxRowTitle, texts.UTF16)}
		if one.Title != option.Label {
			one.Description = option.Label
		}
		all = append(all, one)
	}
	return all
}

// distinct tells whether all options have a label and a value of their own, as
// WhatsApp demands.
func distinct(options []events.Option) bool {
	labels, values := map[string]bool{}, map[string]bool{}
	for _, option := range options {
		if strings.TrimSpace(option.Label) == "" || option.Value == "" || labels[option.Label] || values[option.Value] {
			return false
		}
		labels[option.Label], values[option.Value] = true, true
	}
	return true
}

func shorterThan(options []events.Option, label, value int) bool {
	for _, option := range options {
		if texts.Length(option.Label, texts.UTF16) > label || texts.Length(option.Value, texts.UTF16) > value {
			return false
		}
	}
	return true
}

func numbered(question string, options []events.Option) string {
	lines := []string{}
	if question != "" {
		lines = append(lines, question)
	}
	for i, option := range options {
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, cmp.Or(option.Label, option.Value)))
	}
	return strings.Join(lines, "\n")
}

func carousel(m events.Carousel) ([]outbound, error) {
	var all []outbound
	for i, item := range m.Items {
		parts, err := card(item)
		if err != nil {
			return nil, fmt.Errorf("card %d: %w", i, err)
		}
		all = append(all, parts...)
	}
	return all, nil
}

// card is a text with its picture, and its actions as buttons, three to a
// message. WhatsApp has no links beside buttons: a link alone is a button,
// several are lines of the text.
func card(m events.Card) ([]outbound, error) {
	lines := []string{strings.TrimSpace(m.Title + "\n" + m.Subtitle)}
	var answers []events.Option
	var links []events.CardAction
	for _, one := range m.Actions {
		if one.Action == "url" {
			links = append(links, one)
		} else {
			answers = append(answers, events.Option{Label: one.Label, Value: one.Value})
		}
	}
	asLink := len(links) == 1 && len(answers) == 0 && strings.TrimSpace(links[0].Label) != "" &&
		texts.Length(links[0].Label, texts.UTF16) <= maxButtonTitle
	if !asLink {
		for _, link := range links {
			lines = append(lines, strings.TrimSpace(link.Label+" "+link.Value))
		}
	}
	said := strings.Join(lines, "\n")
	var parts []outbound
	switch {
	case asLink:
		parts = asked(said, interactive{Type: "cta_url", Action: action{
			Name: "cta_url", Parameters: &linkTarget{links[0].Label, links[0].Value},
		}})
	case len(answers) == 0 && m.ImageURL != "":
		return captioned("image", "", m.ImageURL, said, "")
	default:
		parts = asksAll(said, cmp.Or(m.Title, "…"), answers)
	}
	if m.ImageURL == "" {
		return parts, nil
	}
	picture, err := captioned("image", "", m.ImageURL, "", "")
	if err != nil {
		return nil, err
	}
	if first := parts[0].Interactive; first != nil && first.Type != "list" {
		first.Header = &header{Type: "image", Image: picture[0].Image}
		return parts, nil
	}
	return append(picture, parts...), nil
}

// asksAll asks with buttons, as many messages as it takes.
func asksAll(first, next string, answers []events.Option) []outbound {
	if !distinct(answers) || !shorterThan(answers, maxButtonTitle, maxButtonID) {
		return ask(first, answers, true)
	}
	parts := ask(first, answers[:min(len(answers), maxButtons)], true)
	for at := maxButtons; at < len(answers); at += maxButtons {
		parts = append(parts, ask(next, answers[at:min(len(answers), at+maxButtons)], true)...)
	}
	return parts
}
