internal import TCPWire

// Every element in the script's own notation: what is printed here reads back as the same element.

extension Script {
    /// The script as text, one event a line.
    public var text: String {
        var lines = heading.isEmpty ? [] : ["// \(heading)"]
        lines += options.map { $0.value.isEmpty ? "--\($0.name)" : "--\($0.name)=\($0.value)" }
        lines += setUp.map { "`\($0.text)`" }
        lines += events.map(\.text)
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ScriptEvent {
    /// The event as a script writes it.
    public var text: String {
        switch action {
        case .packet(let packet): "\(time.text) \(packet.text)"
        case .call(let call):
            call.end.map { "\(time.text)...\(EventTime.seconds($0)) \(call.text)" } ?? "\(time.text) \(call.text)"
        case .command(let command): "\(time.text) `\(command.text)`"
        case .code(let block): "\(time.text) \(block.text)"
        }
    }
}

extension EventTime {
    /// The time as a script writes it.
    public var text: String {
        switch self {
        case .absolute(let time): EventTime.seconds(time)
        case .relative(let time): "+" + EventTime.seconds(time)
        case .any: "*"
        case .absoluteRange(let first, let last): "\(EventTime.seconds(first))~\(EventTime.seconds(last))"
        case .relativeRange(let first, let last): "+\(EventTime.seconds(first))~+\(EventTime.seconds(last))"
        }
    }

    /// Nanoseconds as seconds, with no more digits than they need.
    static func seconds(_ nanoseconds: Int64) -> String {
        let magnitude = nanoseconds.magnitude
        let sign = nanoseconds < 0 ? "-" : ""
        guard magnitude % 1_000_000_000 > 0 else { return "\(sign)\(magnitude / 1_000_000_000)" }
        var digits = String(magnitude % 1_000_000_000)
        digits = String(repeating: "0", count: 9 - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(sign)\(magnitude / 1_000_000_000).\(digits)"
    }
}

extension SocketCall {
    /// The call as a script writes it, without its time.
    public var text: String {
        var text = "\(name)(\(arguments.map(\.text).joined(separator: ", "))) = \(result.text)"
        if let errorName { text += " " + errorName }
        if let note { text += " (\(note))" }
        return text
    }
}

extension Expression {
    /// The expression as a script writes it.
    public var text: String {
        switch self {
        case .ellipsis: "..."
        case .integer(let value, let isHexadecimal):
            isHexadecimal ? (value < 0 ? "-0x" : "0x") + String(value.magnitude, radix: 16) : String(value)
        case .symbol(let name): name
        case .string(let text): Expression.quoted(text)
        case .union(let left, let right): "\(left.text)|\(right.text)"
        case .list(let elements): "[\(elements.map(\.text).joined(separator: ", "))]"
        case .structure(let fields): "{\(fields.map(\.text).joined(separator: ", "))}"
        case .call(let name, let arguments): "\(name)(\(arguments.map(\.text).joined(separator: ", ")))"
        }
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension Expression.Field {
    var text: String {
        guard let name else { return value.text }
        return name + (argument.map { "(\($0.text))" } ?? "") + "=" + value.text
    }
}

extension PacketPattern {
    /// The packet as a script writes it, without its time.
    public var text: String {
        var parts = [direction.rawValue]
        if !network.isEmpty { parts.append(network.text) }
        parts += headers.map(\.text)
        switch transport {
        case .tcp(let segment): parts.append(segment.text)
        case .udp(let datagram): parts.append(datagram.text)
        case .icmp(let message): parts.append(message.text)
        }
        return parts.joined(separator: " ")
    }
}

extension NetworkPattern {
    var text: String {
        var words: [String] = []
        if let ecn { words.append(ecn.rawValue) }
        if let trafficClass { words.append("tos 0x" + String(trafficClass, radix: 16)) }
        if let hopLimit { words.append("ttl \(hopLimit)") }
        if let flowLabel { words.append("flowlabel 0x" + String(flowLabel, radix: 16)) }
        if let dontFragment { words.append(dontFragment ? "df" : "nodf") }
        return "[\(words.joined(separator: ", "))]"
    }
}

extension HeaderPattern {
    var text: String {
        switch self {
        case .ip(let source, let destination):
            "\(source.isIPv4 ? "ipv4" : "ipv6") \(source) > \(destination) :"
        case .gre(let words): (["gre"] + words).joined(separator: " ") + ":"
        case .mpls(let words): (["mpls"] + words).joined(separator: " ") + ":"
        }
    }
}

extension SegmentPattern {
    var text: String {
        var parts: [String] = []
        if let ports { parts.append("tcp \(ports.text)") }
        parts.append(flagsText)
        parts.append("\(start ?? 0):\(end ?? 0)(\(length))")
        if let acknowledgment { parts.append("ack \(acknowledgment)") }
        if let window { parts.append("win \(window)") }
        if let urgent { parts.append("urg \(urgent)") }
        switch options {
        case .any: parts.append("<...>")
        case .list(let options):
            if !options.isEmpty { parts.append("<" + options.map(\.text).joined(separator: ",") + ">") }
        }
        return parts.joined(separator: " ")
    }

    var flagsText: String {
        let letters: [(TCPFlags, String)] = [
            (.syn, "S"), (.fin, "F"), (.rst, "R"), (.psh, "P"), (.urg, "U"), (.ece, "E"), (.cwr, "W"), (.ae, "A"),
            (.ack, "."),
        ]
        let text = letters.filter { flags.contains($0.0) }.map(\.1).joined()
        guard let ace else { return text.isEmpty ? "-" : text }
        return text + String(ace)
    }
}

extension SegmentPattern.Ports {
    var text: String { "(\(source) > \(destination))" }
}

extension OptionPattern {
    var text: String {
        switch self {
        case .end: "eol"
        case .noOperation: "nop"
        case .maximumSegmentSize(let size): "mss \(size)"
        case .windowScale(let shift): "wscale \(shift)"
        case .sackPermitted: "sackOK"
        case .sack(let blocks): "sack " + blocks.map { "\($0.start):\($0.end)" }.joined(separator: " ")
        case .timestamps(let value, let echo):
            "TS val \(value.map(String.init) ?? "*") ecr \(echo.map(String.init) ?? "*")"
        case .fastOpen(let cookie): OptionPattern.withOctets("FO", cookie, else: "TFO_COOKIE")
        case .experimentalFastOpen(let cookie): OptionPattern.withOctets("FOEXP", cookie, else: "TFO_COOKIE")
        case .md5(let digest): OptionPattern.withOctets("md5", digest)
        case .accurateECN(let kind, let counters):
            (["ECN"]
                + zip(kind == 174 ? ["e1b", "ceb", "e0b"] : ["e0b", "ceb", "e1b"], counters).map { "\($0) \($1)" })
                .joined(separator: " ")
        case .other(254, let octets) where octets.count >= 2:
            OptionPattern.withOctets("exp 0x" + OptionPattern.hexadecimal(octets.prefix(2)), Array(octets.dropFirst(2)))
        case .other(let kind, let octets): OptionPattern.withOctets("kind \(kind)", octets)
        }
    }

    private static func withOctets(_ name: String, _ octets: [UInt8]?, else word: String = "") -> String {
        guard let octets else { return "\(name) \(word)" }
        return octets.isEmpty ? name : "\(name) \(hexadecimal(octets))"
    }

    private static func hexadecimal(_ octets: some Collection<UInt8>) -> String {
        octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension DatagramPattern {
    var text: String { ports.map { "udp \($0.text) (\(length))" } ?? "udp (\(length))" }
}

extension ICMPPattern {
    var text: String {
        var parts = ["icmp", type]
        if let code { parts.append(code) }
        if let mtu { parts.append("mtu \(mtu)") }
        switch quotation {
        case .segment(let start, let end, let length)?:
            parts.insert("[\(start):\(end)(\(length))]", at: quotesFirst ? 0 : parts.count)
        case .datagram(let length)?: parts.insert("[udp (\(length))]", at: quotesFirst ? 0 : parts.count)
        case nil: break
        }
        return parts.joined(separator: " ")
    }
}
