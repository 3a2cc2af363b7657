package subjects

// Form is the JSON form of a member of a command.
type Form string

// The forms. In each of them null is the same as leaving the member out.
const (
	FormID      Form = "id"      // an integer or a string, see [ParseID]
	FormText    Form = "text"    // a string that is not empty
	FormInteger Form = "integer" // an integer of 64 bits
	FormObject  Form = "object"
)

// Limits of ids, for who describes them; see [ParseID].
const (
	MaxIDBytes  = maxID                      // of a string
	MinIDNumber = "-9999999999999999999"     // 20 characters, as a JSON number
	MaxIDNumber = "99999999999999999999"     // the same
	BadIDRunes  = `\x00-\x1f\x7f` + "\uFFFD" // as a class of a regular expression: control and broken characters
)

// Member describes a member of a command.
type Member struct {
	Name     string
	Form     Form
	Required bool
	Values   []string // that it may have; empty for any
	Default  string   // that leaving it out has the effect of
	Shape    Shape    // of an object
	Meaning  string   // one sentence
}

// Shape describes the members of a command, or of an object in it. There are no others.
type Shape struct {
	Members []Member
	Some    []string   // at least one of these members is there
	Either  [][]string // exactly one of these groups is there: all its members, and none of the others
}

// Shape returns what [Decode] accepts as the body of a command of this kind: the same rules as data, for documents and schemas. The shape of
// an unknown kind is empty.
func (k Kind) Shape() Shape {
	var s Shape
	switch k {
	case MessageSend:
		s.Members = []Member{
			conversationMember(),
			{Name: "content", Form: FormText, Required: true, Meaning: "The text of the message."},
			{
				Name: "message_type", Form: FormText, Values: []string{Outgoing, Incoming}, Default: Outgoing,
				Meaning: "Whether the message is shown as one of the bot (outgoing) or of the customer (incoming).",
			},
		}
	case ConversationStart:
		s = startShape()
	case ConversationHandoff, ConversationFinish:
		s.Members = []Member{conversationMember()}
	case ContactCreate:
		s = contactShape()
		s.Members = append([]Member{inboxMember()}, s.Members...)
	default:
		return Shape{}
	}
	s.Members = append(s.Members, Member{
		Name: "tenant_domain", Form: FormText, Meaning: "The tenant that the command is meant for; a bridge refuses a command for another tenant than its own.",
	})
	return s
}

func conversationMember() Member {
	return Member{Name: "conversation_id", Form: FormID, Required: true, Meaning: "The conversation."}
}

func inboxMember() Member {
	return Member{Name: "inbox_id", Form: FormID, Required: true, Meaning: "The inbox."}
}

func startShape() Shape {
	contact := contactShape()
	return Shape{
		Members: []Member{
			inboxMember(),
			{Name: "contact_id", Form: FormID, Meaning: "A contact that exists."},
			{Name: "source_id", Form: FormText, Meaning: "The id of that contact at its channel: its email, else its phone number."},
			{Name: "contact", Form: FormObject, Shape: contact, Meaning: "A contact that is created unless it exists."},
			{Name: "priority", Form: FormInteger, Meaning: "Passed on as it is."},
			{Name: "initial_message", Form: FormText, Meaning: "The text of the first message."},
		},
		Either: [][]string{{"contact_id", "source_id"}, {"contact"}},
	}
}

func contactShape() Shape {
	return Shape{
		Members: []Member{
			{Name: "name", Form: FormText, Required: true, Meaning: "The name of the contact."},
			{Name: "email", Form: FormText, Meaning: "The email address of the contact."},
			{Name: "phone_number", Form: FormText, Meaning: "The phone number of the contact."},
		},
		Some: []string{"email", "phone_number"},
	}
}
