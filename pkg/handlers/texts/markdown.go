package texts

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/towpath/towpath/pkg/events"
)

// Markdown writes a message of any type as one Markdown text, for platforms
// that show Markdown and nothing else. What a bot wrote as text stays as it is.
// An image is shown; audio, video, files and places are links; a question is
// followed by its options in a numbered list; cards and the items of a bloc
// stand below each other.
//
// The error tells of a bloc's item that cannot be read.
func Markdown(payload events.Payload) (string, error) {
	switch m := payload.(type) {
	case events.Text:
		return m.Text, nil
	case events.Markdown:
		return m.Markdown, nil
	case events.Image:
		caption := cmp.Or(m.Caption, m.Title)
		return stack("\n\n", "!"+link(caption, m.ImageURL), caption), nil
	case events.Audio:
		return link(cmp.Or(m.Title, "Audio"), m.AudioURL), nil
	case events.Video:
		return link(cmp.Or(m.Title, "Video"), m.VideoURL), nil
	case events.File:
		return link(cmp.Or(m.Title, "File"), m.FileURL), nil
	case events.Location:
		return place(m), nil
	case events.Card:
		return card(m), nil
	case events.Carousel:
		cards := make([]string, len(m.Items))
		for i, item := range m.Items {
			cards[i] = card(item)
		}
		return stack("\n\n---\n\n", cards...), nil
	case events.Choice:
		return question(m.Text, m.Options), nil
	case events.Dropdown:
		return question(m.Text, m.Options), nil
	case events.Bloc:
		return bloc(m)
	}
	return "", fmt.Errorf("there is no Markdown for messages of type %q", payload.MessageType())
}

// place is a link to a map, which nobody needs an account for.
func place(m events.Location) string {
	at := degrees(m.Latitude) + ", " + degrees(m.Longitude)
	where := link(cmp.Or(m.Title, m.Address, at),
		"https://www.openstreetmap.org/?mlat="+degrees(m.Latitude)+"&mlon="+degrees(m.Longitude)+"#map=16/"+degrees(m.Latitude)+"/"+degrees(m.Longitude))
	if m.Title != "" && m.Address != "" {
		where += "\n" + m.Address
	}
	return where
}

func degrees(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

// card lists a card's buttons: the ones that open a page as links, the others
// as what somebody may answer.
func card(m events.Card) string {
	title, picture := "", ""
	if m.Title != "" {
		title = "**" + m.Title + "**"
	}
	if m.ImageURL != "" {
		picture = "!" + link(m.Title, m.ImageURL)
	}
	buttons := make([]string, len(m.Actions))
	for i, action := range m.Actions {
		buttons[i] = "- " + cmp.Or(action.Label, action.Value)
		if action.Action == "url" {
			buttons[i] = "- " + link(cmp.Or(action.Label, action.Value), action.Value)
		}
	}
	return stack("\n\n", title, m.Subtitle, picture, strings.Join(buttons, "\n"))
}

func question(text string, options []events.Option) string {
	lines := make([]string, len(options))
	for i, option := range options {
		lines[i] = strconv.Itoa(i+1) + ". " + cmp.Or(option.Label, option.Value)
	}
	return stack("\n\n", text, strings.Join(lines, "\n"))
}

func bloc(m events.Bloc) (string, error) {
	written := make([]string, len(m.Items))
	for i, item := range m.Items {
		payload, err := Item(item)
		if err != nil {
			return "", fmt.Errorf("item %d of the bloc: %w", i+1, err)
		}
		if written[i], err = Markdown(payload); err != nil {
			return "", err
		}
	}
	return stack("\n\n", written...), nil
}

// Item decodes an item of a bloc. A bloc in a bloc is none of Botpress's, and
// could be as deep as it liked.
func Item(item events.BlocItem) (events.Payload, error) {
	switch item.Type {
	case "text":
		return decoded[events.Text](item.Payload)
	case "markdown":
		return decoded[events.Markdown](item.Payload)
	case "image":
		return decoded[events.Image](item.Payload)
	case "audio":
		return decoded[events.Audio](item.Payload)
	case "video":
		return decoded[events.Video](item.Payload)
	case "file":
		return decoded[events.File](item.Payload)
	case "location":
		return decoded[events.Location](item.Payload)
	case "card":
		return decoded[events.Card](item.Payload)
	case "carousel":
		return decoded[events.Carousel](item.Payload)
	case "choice":
		return decoded[events.Choice](item.Payload)
	case "dropdown":
		return decoded[events.Dropdown](item.Payload)
	}
	return nil, fmt.Errorf("there is no message type %q", item.Type)
}

func decoded[M events.Payload](raw json.RawMessage) (events.Payload, error) {
	var m M
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", m.MessageType(), err)
	}
	return m, nil
}

// stack puts what is not empty below each other.
func stack(between string, parts ...string) string {
	kept := make([]string, 0, len(parts))
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, between)
}

var (
	inLabel   = strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "\r", "", "\n", " ")
	inAddress = strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29", "<", "%3C", ">", "%3E", "\r", "", "\n", "")
)

// link writes a link so that neither of its halves can end it early.
func link(label, address string) string {
	return "[" + inLabel.Replace(label) + "](" + inAddress.Replace(address) + ")"
}
