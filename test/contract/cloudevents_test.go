package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// binary reads a message of NATS for the SDK: attributes are headers with the prefix ce-, the body is the data. The values are given to the
// SDK as they stand, percent-encoded.
type binary struct {
	msg      *nats.Msg
	versions *spec.Versions
}

var _ binding.MessageReader = binary{}

func (b binary) ReadEncoding() binding.Encoding { return binding.EncodingBinary }

func (b binary) ReadStructured(context.Context, binding.StructuredWriter) error {
	return binding.ErrNotStructured
}

func (b binary) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	version := b.versions.Version(b.msg.Header.Get(b.versions.PrefixedSpecVersionName()))
	if version == nil {
		return binding.ErrUnknownEncoding
	}
	for name, values := range b.msg.Header {
		var err error
		attribute := version.Attribute(name)
		switch {
		case attribute != nil:
			err = w.SetAttribute(attribute, values[0])
		case name == subjects.HeaderContentType:
			err = w.SetAttribute(version.AttributeFromKind(spec.DataContentType), values[0])
		case strings.HasPrefix(name, "ce-"):
			err = w.SetExtension(strings.TrimPrefix(name, "ce-"), values[0])
		}
		if err != nil {
			return err
		}
	}
	return w.SetData(bytes.NewReader(b.msg.Data))
}

func (b binary) Finish(error) error { return nil }

func (b binary) GetAttribute(k spec.Kind) (spec.Attribute, any) {
	attribute := b.versions.Latest().AttributeFromKind(k)
	return attribute, b.msg.Header.Get(attribute.PrefixedName())
}

func (b binary) GetExtension(name string) any { return b.msg.Header.Get("ce-" + name) }

// TestTheCloudEventsSDKAcceptsEventsAndResults lets the SDK for Go read what the bridge publishes.
func TestTheCloudEventsSDKAcceptsEventsAndResults(t *testing.T) {
	for _, m := range slices.Concat(events(t), examples(t)) {
		read, err := binding.ToEvent(t.Context(), binary{m, spec.WithPrefix("ce-")})
		if err != nil {
			t.Errorf("%s %v: %v", m.Subject, m.Header, err)
			continue
		}
		if err := read.Validate(); err != nil {
			t.Errorf("%s %v: %v", m.Subject, m.Header, err)
		}
		raw, err := json.Marshal(read)
		if err != nil {
			t.Fatalf("%s: %v", m.Subject, err)
		}
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if err := differ(got, wanted(m)); err != nil {
			t.Errorf("%s: %v", m.Subject, err)
		}
		at, err := time.Parse(time.RFC3339, m.Header.Get(subjects.HeaderCETime))
		if err != nil || !read.Time().Equal(at) || !bytes.Equal(read.Data(), m.Data) || len(read.Extensions()) != 0 {
			t.Errorf("%s: read as %v", m.Subject, read)
		}
	}
}

// TestTheJudgeRefuses shows that the test above can fail.
func TestTheJudgeRefuses(t *testing.T) {
	for header, value := range map[string]string{
		subjects.HeaderCESpecVersion: "0.1", subjects.HeaderCEID: "", subjects.HeaderCESource: "", subjects.HeaderCEType: "", subjects.HeaderCETime: "yesterday",
	} {
		m := examples(t)[0]
		m.Header.Set(header, value)
		read, err := binding.ToEvent(t.Context(), binary{m, spec.WithPrefix("ce-")})
		if err == nil && read.Validate() == nil {
			t.Errorf("an event with %s %q is accepted", header, value)
		}
	}
}
