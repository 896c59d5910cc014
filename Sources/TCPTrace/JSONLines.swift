internal import TCPEngine
public import TCPWire

/// A JSON object written on one line, its keys in the order they were added.
public struct JSONObject: Sendable {
    private var text = "{"

    /// An empty object.
    public init() {}

    /// The object's text.
    public var line: String { text + "}" }

    private mutating func key(_ name: String) {
        if text.utf8.count > 1 { text += "," }
        text += JSONObject.quoted(name)
        text += ":"
    }

    /// Adds a string.
    public mutating func add(_ name: String, _ value: String) {
        key(name)
        text += JSONObject.quoted(value)
    }

    /// Adds strings.
    public mutating func add(_ name: String, _ values: [String]) {
        key(name)
        text += "[" + values.map(JSONObject.quoted).joined(separator: ",") + "]"
    }

    /// Adds an integer.
    public mutating func add(_ name: String, _ value: Int) {
        key(name)
        text += String(value)
    }

    /// Adds true or false.
    public mutating func add(_ name: String, _ value: Bool) {
        key(name)
        text += value ? "true" : "false"
    }

    /// Adds a number that is already written as JSON wants it.
    public mutating func add(_ name: String, number: String) {
        key(name)
        text += number
    }

    /// The text between quotation marks, with what JSON wants escaped (RFC 8259 §7).
    public static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Events as lines of JSON.
public enum JSONLines {
    /// A segment: numbers raw as on the wire, `ack` only with ACK set.
    public static func segment(_ segment: TracedSegment, since start: Instant) -> String {
        var object = JSONObject()
        object.add("event", "segment")
        object.add("time", number: NumberText.seconds(segment.sent.nanoseconds &- start.nanoseconds))
        object.add("from", segment.from)
        object.add("to", segment.to)
        object.add("flags", segment.header.flags.names)
        object.add("seq", Int(segment.header.sequence.rawValue))
        if segment.header.flags.contains(.ack) { object.add("ack", Int(segment.header.acknowledgment.rawValue)) }
        object.add("window", Int(segment.header.window))
        object.add("length", segment.length)
        object.add("delivered", segment.isDelivered)
        return object.line
    }

    /// A change of state.
    public static func state(_ change: TracedStateChange, since start: Instant) -> String {
        var object = JSONObject()
        object.add("event", "state")
        object.add("time", number: NumberText.seconds(change.time.nanoseconds &- start.nanoseconds))
        object.add("endpoint", change.end)
        object.add("from", change.from.name)
        object.add("to", change.to.name)
        return object.line
    }

    /// All segments and changes of a trace in the order they happened.
    public static func lines(of trace: Trace) -> [String] {
        trace.events.compactMap { event in
            switch event {
            case .sent(let index): segment(trace.segments[index], since: trace.start)
            case .state(let change): state(change, since: trace.start)
            case .arrived, .action: nil
            }
        }
    }
}
