package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"slices"
)

// Body is a request's body as it is sent.
type Body struct {
	Type string // the Content-Type; required
	Data []byte
}

// Form is a body of application/x-www-form-urlencoded, as Stripe and Twilio
// take it.
func Form(values url.Values) Body {
	return Body{Type: "application/x-www-form-urlencoded", Data: []byte(values.Encode())}
}

// File is one file of a [Multipart] body.
type File struct {
	Field string // the form's field
	Name  string // the file's name
	Type  string // its Content-Type; application/octet-stream when empty
	Data  []byte
}

// Multipart is a body of multipart/form-data: the fields in the order of their
// names, and then the files.
func Multipart(fields map[string]string, files ...File) (Body, error) {
	var data bytes.Buffer
	form := multipart.NewWriter(&data)
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := form.WriteField(name, fields[name]); err != nil {
			return Body{}, fmt.Errorf("write field %s: %w", name, err)
		}
	}
	for _, file := range files {
		header := textproto.MIMEHeader{
			"Content-Disposition": {multipart.FileContentDisposition(file.Field, file.Name)},
			"Content-Type":        {file.Type},
		}
		if file.Type == "" {
			header.Set("Content-Type", "application/octet-stream")
		}
		part, err := form.CreatePart(header)
		if err == nil {
			_, err = part.Write(file.Data)
		}
		if err != nil {
			return Body{}, fmt.Errorf("write file %s: %w", file.Field, err)
		}
	}
	if err := form.Close(); err != nil {
		return Body{}, fmt.Errorf("write form: %w", err)
	}
	return Body{Type: form.FormDataContentType(), Data: data.Bytes()}, nil
}

func bodyOf(in any) (Body, error) {
	switch in := in.(type) {
	case nil:
		return Body{}, nil
	case Body:
		return in, nil
	default:
		data, err := json.Marshal(in)
		return Body{Type: "application/json", Data: data}, err
	}
}
