package events

import "encoding/json"

// Payload is the content of a message: one of the types below, or a channel's
// own.
type Payload interface{ MessageType() string }

// The message payloads of Botpress's default channel. Field names are those on
// the wire.
type (
	// Text is plain text.
	Text struct {
		Text string `json:"text"`
	}
	// Image is a picture by its URL. Caption is what bots written from the
	// older documents send; Title is today's name for the same line.
	Image struct {
		ImageURL string `json:"imageUrl"`
		Title    string `json:"title,omitempty"`
		Caption  string `json:"caption,omitempty"`
	}
	// Audio is a sound by its URL.
	Audio struct {
		AudioURL string `json:"audioUrl"`
		Title    string `json:"title,omitempty"`
	}
	// Video is a film by its URL.
	Video struct {
		VideoURL string `json:"videoUrl"`
		Title    string `json:"title,omitempty"`
	}
	// File is any other file by its URL.
	File struct {
		FileURL string `json:"fileUrl"`
		Title   string `json:"title,omitempty"`
	}
	// Location is a place; latitude and longitude are in degrees.
	Location struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
		Address   string  `json:"address,omitempty"`
		Title     string  `json:"title,omitempty"`
	}
	// Card is a titled box with buttons.
	Card struct {
		Title    string       `json:"title"`
		Subtitle string       `json:"subtitle,omitempty"`
		ImageURL string       `json:"imageUrl,omitempty"`
		Actions  []CardAction `json:"actions"`
	}
	// CardAction is a button; Action is "postback", "url" or "say".
	CardAction struct {
		Action string `json:"action"`
		Label  string `json:"label"`
		Value  string `json:"value"`
	}
	// Carousel is a row of cards.
	Carousel struct {
		Items []Card `json:"items"`
	}
	// Option is one entry of a Choice or a Dropdown.
	Option struct {
		Label string `json:"label"`
		Value string `json:"value"`
	}
	// Choice is a question with buttons.
	Choice struct {
		Text    string   `json:"text"`
		Options []Option `json:"options"`
	}
	// Dropdown is a question with a list to pick from.
	Dropdown struct {
		Text    string   `json:"text"`
		Options []Option `json:"options"`
	}
	// Bloc is several messages in one, in order.
	Bloc struct {
		Items []BlocItem `json:"items"`
	}
	// BlocItem is one message of a Bloc; Payload is what Type says, such as an
	// Image for "image".
	BlocItem struct {
		Type    string          `json:"type"`
		Payload json.RawMessage `json:"payload"`
	}
	// Markdown is text with markup. Botpress has deprecated it; bots still
	// send it.
	Markdown struct {
		Markdown string `json:"markdown"`
	}
)

// MessageType is "text".
func (Text) MessageType() string { return "text" }

// MessageType is "image".
func (Image) MessageType() string { return "image" }

// MessageType is "audio".
func (Audio) MessageType() string { return "audio" }

// MessageType is "video".
func (Video) MessageType() string { return "video" }

// MessageType is "file".
func (File) MessageType() string { return "file" }

// MessageType is "location".
func (Location) MessageType() string { return "location" }

// MessageType is "card".
func (Card) MessageType() string { return "card" }

// MessageType is "carousel".
func (Carousel) MessageType() string { return "carousel" }

// MessageType is "choice".
func (Choice) MessageType() string { return "choice" }

// MessageType is "dropdown".
func (Dropdown) MessageType() string { return "dropdown" }

// MessageType is "bloc".
func (Bloc) MessageType() string { return "bloc" }

// MessageType is "markdown".
func (Markdown) MessageType() string { return "markdown" }
