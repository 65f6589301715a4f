package slack

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// What Slack takes of buttons and lists; texts are in characters.
const (
	maxLabel       = 75
	maxButtonValue = 2000
	maxButtonURL   = 3000
	maxOptionValue = 150
	maxOptions     = 100
	maxButtons     = 25 // in a row; more make another one
)

// The names of our elements. To use one of the first kind is to say its value.
const (
	sayPrefix  = "towpath:say:"
	openPrefix = "towpath:open:"
)

func plain(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

func short(text string, most int) bool {
	n := texts.Length(text, texts.UTF16)
	return n > 0 && n <= most
}

// button is a card's action, nil if Slack would not take it.
func button(action events.CardAction, number int) slack.BlockElement {
	label, id := cmp.Or(action.Label, action.Value), strconv.Itoa(number)
	if !short(label, maxLabel) {
		return nil
	}
	if action.Action == "url" {
		if !short(action.Value, maxButtonURL) || !strings.Contains(action.Value, "://") {
			return nil
		}
		return slack.NewButtonBlockElement(openPrefix+id, "", plain(label)).WithURL(action.Value)
	}
	value := cmp.Or(action.Value, action.Label)
	if !short(value, maxButtonValue) {
		return nil
	}
	return slack.NewButtonBlockElement(sayPrefix+id, value, plain(label))
}

// rows puts elements into rows of as many as Slack takes.
func rows(elements []slack.BlockElement) []slack.Block {
	var all []slack.Block
	for len(elements) > 0 {
		n := min(len(elements), maxButtons)
		all = append(all, slack.NewActionBlock("", elements[:n]...))
		elements = elements[n:]
	}
	return all
}

// choiceButtons are a choice's options as buttons, nil if one of them cannot be
// one.
func choiceButtons(options []events.Option) []slack.Block {
	elements := make([]slack.BlockElement, len(options))
	for i, option := range options {
		if elements[i] = button(events.CardAction{Action: "say", Label: option.Label, Value: option.Value}, i+1); elements[i] == nil {
			return nil
		}
	}
	return rows(elements)
}

// dropdown is a list to pick from, nil if one of the options does not fit.
func dropdown(options []events.Option) []slack.Block {
	if len(options) > maxOptions {
		return nil
	}
	list := make([]*slack.OptionBlockObject, len(options))
	for i, option := range options {
		label, value := cmp.Or(option.Label, option.Value), cmp.Or(option.Value, option.Label)
		if !short(label, maxLabel) || !short(value, maxOptionValue) {
			return nil
		}
		list[i] = slack.NewOptionBlockObject(value, plain(label), nil)
	}
	if len(list) == 0 {
		return nil
	}
	return rows([]slack.BlockElement{slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, nil, sayPrefix+"1", list...)})
}

// ask is a question with what may be answered: below it where Slack can show
// that, else as a numbered list in words.
func ask(question string, options []events.Option, show func([]events.Option) []slack.Block) []posting {
	lines := make([]string, len(options))
	for i, option := range options {
		lines[i] = strconv.Itoa(i+1) + ". " + cmp.Or(option.Label, option.Value)
	}
	inWords := stack("\n\n", question, strings.Join(lines, "\n"))
	shown := show(options)
	if len(shown) == 0 || len(shown) >= maxBlocks {
		return say(inWords)
	}
	before, blocks := section(question)
	return append(before, posting{text: texts.Cut(inWords, maxSection, texts.UTF16), blocks: append(blocks, shown...)})
}

// sayCards are cards below each other, as many in a message as it holds.
func sayCards(cards ...events.Card) []posting {
	var all []posting
	for _, card := range cards {
		before, one := sayCard(card)
		all = append(all, before...)
		last := len(all) - 1
		if len(before) == 0 && last >= 0 && len(one.blocks) > 0 && len(all[last].blocks) > 0 &&
			len(all[last].blocks)+1+len(one.blocks) <= maxBlocks && len(all[last].text)+len(one.text) < maxSection {
			all[last].blocks = append(append(all[last].blocks, slack.NewDividerBlock()), one.blocks...)
			all[last].text += "\n" + one.text
			continue
		}
		if one.text != "" {
			all = append(all, one)
		}
	}
	return all
}

// sayCard is a card. What cannot be a button stands below its text.
func sayCard(m events.Card) (before []posting, card posting) {
	title, lines := "", []string{}
	if m.Title != "" {
		title = "*" + m.Title + "*"
	}
	var elements []slack.BlockElement
	for i, action := range m.Actions {
		if element := button(action, i+1); element != nil {
			elements = append(elements, element)
		} else if action.Action == "url" {
			lines = append(lines, "• "+link(action.Value, cmp.Or(action.Label, action.Value)))
		} else if label := cmp.Or(action.Label, action.Value); label != "" {
			lines = append(lines, "• "+label)
		}
	}
	before, blocks := section(stack("\n", title, m.Subtitle, strings.Join(lines, "\n")))
	if m.ImageURL != "" {
		blocks = append(blocks, image(m.ImageURL, m.Title))
	}
	blocks = append(blocks, rows(elements)...)
	if len(blocks) == 0 {
		return before, posting{}
	}
	return before, posting{text: texts.Cut(cmp.Or(stack("\n", m.Title, m.Subtitle), "Card"), maxSection, texts.UTF16), blocks: blocks}
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
