package slack

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// How many characters Slack takes: of a message's text, where it cuts off the
// rest without a word, of a message in Markdown, of a section's text and an
// image's alt_text, where it refuses the message; and how many blocks of a
// message.
const (
	maxText     = 40_000
	maxMarkdown = 12_000
	maxSection  = 3000
	maxAltText  = 2000
	maxBlocks   = 50
)

// posting is one message of Slack's. Text is what is said, or beside blocks what
// notifications show.
type posting struct {
	text     string
	markdown bool
	blocks   []slack.Block
}

func (p posting) options() []slack.MsgOption {
	if p.markdown {
		return []slack.MsgOption{slack.MsgOptionMarkdownText(p.text)}
	}
	options := []slack.MsgOption{slack.MsgOptionText(p.text, false)}
	if len(p.blocks) > 0 {
		options = append(options, slack.MsgOptionBlocks(p.blocks...))
	}
	return options
}

// render makes of a message what Slack shows it as, in order; mostly that is
// one posting. What a bot wrote is sent as it wrote it, with Slack's own markup.
//
// Sounds, films, files and places are links: a message holds URLs, and Slack
// itself unfolds the links that it can show. The error tells of a bloc's item
// that cannot be read.
func render(payload events.Payload) ([]posting, error) {
	switch m := payload.(type) {
	case events.Text:
		return say(m.Text), nil
	case events.Markdown:
		return sayMarkdown(m.Markdown), nil
	case events.Image:
		return sayImage(m), nil
	case events.Audio:
		return say(link(m.AudioURL, cmp.Or(m.Title, "Audio"))), nil
	case events.Video:
		return say(link(m.VideoURL, cmp.Or(m.Title, "Video"))), nil
	case events.File:
		return say(link(m.FileURL, cmp.Or(m.Title, "File"))), nil
	case events.Location:
		return say(place(m)), nil
	case events.Card:
		return sayCards(m), nil
	case events.Carousel:
		return sayCards(m.Items...), nil
	case events.Choice:
		return ask(m.Text, m.Options, choiceButtons), nil
	case events.Dropdown:
		return ask(m.Text, m.Options, dropdown), nil
	case events.Bloc:
		return sayBloc(m)
	}
	return nil, fmt.Errorf("there is no way to show messages of type %q", payload.MessageType())
}

// say is a text, in as few messages as hold it. They are measured in the larger
// of the two ways to count.
func say(text string) []posting {
	var all []posting
	for _, part := range texts.Split(text, maxText, texts.UTF16) {
		all = append(all, posting{text: part})
	}
	return all
}

func sayMarkdown(text string) []posting {
	var all []posting
	for _, part := range texts.Split(text, maxMarkdown, texts.UTF16) {
		all = append(all, posting{text: part, markdown: true})
	}
	return all
}

// section is a text as a block. One that is too long for it goes before, as a
// message of its own.
func section(text string) (before []posting, blocks []slack.Block) {
	if text == "" {
		return nil, nil
	}
	if texts.Length(text, texts.UTF16) > maxSection {
		return say(text), nil
	}
	return nil, []slack.Block{slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, text, false, false), nil, nil)}
}

func sayImage(m events.Image) []posting {
	caption := cmp.Or(m.Caption, m.Title)
	before, blocks := section(caption)
	return append(before, posting{
		text: texts.Cut(cmp.Or(caption, "Image"), maxSection, texts.UTF16), blocks: append(blocks, image(m.ImageURL, caption)),
	})
}

func image(where, caption string) slack.Block {
	return slack.NewImageBlock(where, texts.Cut(cmp.Or(caption, "Image"), maxAltText, texts.UTF16), "", nil)
}

// place is a link to a map, which nobody needs an account for.
func place(m events.Location) string {
	degrees := func(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
	latitude, longitude := degrees(m.Latitude), degrees(m.Longitude)
	where := link("https://www.openstreetmap.org/?mlat="+latitude+"&mlon="+longitude+"#map=16/"+latitude+"/"+longitude,
		cmp.Or(m.Title, m.Address, latitude+", "+longitude))
	if m.Title != "" && m.Address != "" {
		where += "\n" + m.Address
	}
	return where
}

// sayBloc is all that the bloc's items are.
func sayBloc(m events.Bloc) ([]posting, error) {
	var all []posting
	for i, item := range m.Items {
		payload, err := texts.Item(item)
		if err != nil {
			return nil, fmt.Errorf("item %d of the bloc: %w", i+1, err)
		}
		said, err := render(payload)
		if err != nil {
			return nil, err
		}
		all = append(all, said...)
	}
	return all, nil
}

var (
	inLabel   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "¦", "\r", "", "\n", " ")
	inAddress = strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C", " ", "%20", "\r", "", "\n", "")
)

// link writes a link so that neither of its halves can end it early.
func link(address, label string) string {
	return "<" + inAddress.Replace(address) + "|" + inLabel.Replace(label) + ">"
}
