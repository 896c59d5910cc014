internal import TCPWire

extension Parser {
    /// `<` or `>` and the packet behind it.
    mutating func packet() throws(ScriptError) -> PacketPattern {
        let position = scanner.position
        let direction: PacketPattern.Direction = scanner.take("<") ? .inbound : .outbound
        if direction == .outbound { scanner.advance() }
        try scanner.skipBlanks()
        var network = NetworkPattern()
        var quotation: ICMPPattern.Quotation?
        while scanner.isNext("[") {
            if let quoted = try bracket(&network) { quotation = quoted }
            try scanner.skipBlanks()
        }
        let headers = try headers()
        let transport: PacketPattern.Transport
        switch scanner.peekWord() {
        case "icmp", "icmpv6":
            var message = try icmp()
            if let quotation {
                message.quotation = quotation
                message.quotesFirst = true
            }
            transport = .icmp(message)
        case "udp": transport = .udp(try datagram())
        case "sctp": throw scanner.expected("a TCP, UDP or ICMP packet")
        default: transport = .tcp(try segment())
        }
        if quotation != nil, case .icmp = transport {
        } else if quotation != nil {
            throw scanner.error("expected an ICMP message behind the numbers of the segment it quotes", at: position)
        }
        return PacketPattern(
            position: position, direction: direction, network: network, headers: headers, transport: transport)
    }

    // MARK: What stands in front

    /// `[ect0, ttl 64]`, which is noted in `network`, or `[1:1001(1000)]`, which is returned.
    private mutating func bracket(
        _ network: inout NetworkPattern
    ) throws(ScriptError) -> ICMPPattern.Quotation? {
        scanner.advance()
        try scanner.skipBlanks()
        if Scanner.isDigit(scanner.byte()) || scanner.peekWord() == "udp" { return try quotation() }
        while true {
            try networkWord(&network)
            try scanner.skipBlanks()
            if scanner.take("]") { return nil }
            if scanner.take(",") { try scanner.skipBlanks() }
        }
    }

    private mutating func networkWord(_ network: inout NetworkPattern) throws(ScriptError) {
        let word = scanner.peekWord()
        if let ecn = NetworkPattern.ECN(rawValue: word) {
            network.ecn = ecn
            return scanner.advance(word.utf8.count)
        }
        guard ["tos", "ttl", "flowlabel", "df", "nodf"].contains(word) else {
            throw scanner.expected("ect0, ect1, ect01, ce, noecn, tos, ttl, flowlabel, df or nodf")
        }
        scanner.advance(word.utf8.count)
        try scanner.skipBlanks()
        switch word {
        case "tos": network.trafficClass = UInt8(try scanner.number("the type of service", limit: 255))
        case "ttl": network.hopLimit = UInt8(try scanner.number("the time to live", limit: 255))
        case "flowlabel": network.flowLabel = UInt32(try scanner.number("the flow label", limit: 0xFFFFF))
        default: network.dontFragment = word == "df"
        }
    }

    private mutating func headers() throws(ScriptError) -> [HeaderPattern] {
        var headers: [HeaderPattern] = []
        while true {
            let word = scanner.peekWord()
            switch word {
            case "ipv4", "ipv6":
                scanner.advance(4)
                let source = try address(isIPv4: word == "ipv4")
                try scanner.expect(">", "between the two addresses")
                let destination = try address(isIPv4: word == "ipv4")
                try scanner.expect(":", "behind the addresses")
                headers.append(.ip(source: source, destination: destination))
            case "gre", "mpls":
                scanner.advance(word.utf8.count)
                let text = scanner.takeWhile { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "\n") }
                guard scanner.take(":") else { throw scanner.expected("':' behind '\(word)'") }
                let words = text.split(separator: " ").map(String.init)
                headers.append(word == "gre" ? .gre(words) : .mpls(words))
            default: return headers
            }
            try scanner.skipBlanks()
        }
    }

    private mutating func address(isIPv4: Bool) throws(ScriptError) -> IPAddress {
        try scanner.skipBlanks()
        let start = scanner.position
        // The colon that ends the header would be taken for one of an IPv6 address but for the blank behind it.
        var text = scanner.takeWhile { byte in
            Scanner.digit(byte, radix: 16) != nil || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":") && !isIPv4
        }
        if !isIPv4, text.hasSuffix(":"), !text.hasSuffix("::") || IPAddress(text) == nil {
            text.removeLast()
            scanner.back()
        }
        guard let address = IPAddress(text), address.isIPv4 == isIPv4 else {
            throw scanner.error("expected an \(isIPv4 ? "IPv4" : "IPv6") address, found '\(text)'", at: start)
        }
        return address
    }

    // MARK: TCP

    private mutating func segment() throws(ScriptError) -> SegmentPattern {
        var segment = SegmentPattern(flags: [])
        if scanner.takeWord("tcp") {
            segment.ports = try ports()
            try scanner.skipBlanks()
        }
        try flags(&segment)
        try scanner.skipBlanks()
        let place = scanner.position
        let (start, end, length) = try sequence()
        guard end == start &+ UInt32(length) else {
            throw scanner.error(
                "expected \(start):\(start &+ UInt32(length))(\(length)): the numbers do not fit the length", at: place)
        }
        (segment.start, segment.end, segment.length) = (start, end, length)
        try scanner.skipBlanks()
        if scanner.takeWord("ack") {
            try scanner.skipBlanks()
            segment.acknowledgment = UInt32(
                try scanner.number("an acknowledgment number", limit: UInt64(UInt32.max)))
            try scanner.skipBlanks()
        }
        if scanner.takeWord("win") {
            try scanner.skipBlanks()
            if !scanner.take("*") {
                segment.window = UInt16(try scanner.number("a window", limit: UInt64(UInt16.max)))
            }
            try scanner.skipBlanks()
        }
        if scanner.takeWord("urg") {
            try scanner.skipBlanks()
            segment.urgent = UInt16(try scanner.number("an urgent pointer", limit: UInt64(UInt16.max)))
            try scanner.skipBlanks()
        }
        if scanner.isNext("<") { segment.options = try tcpOptions() }
        return segment
    }

    /// `(source > destination)`
    private mutating func ports() throws(ScriptError) -> SegmentPattern.Ports {
        try scanner.expect("(", "and two ports")
        try scanner.skipBlanks()
        let source = UInt16(try scanner.number("a port", limit: UInt64(UInt16.max)))
        try scanner.expect(">", "between two ports")
        try scanner.skipBlanks()
        let destination = UInt16(try scanner.number("a port", limit: UInt64(UInt16.max)))
        try scanner.expect(")", "behind two ports")
        return .init(source: source, destination: destination)
    }

    /// `S.`, `FP.`, `SEW`, `.5`: letters, a point for ACK, a digit for the counter of accurate ECN, `-` for none.
    private mutating func flags(_ segment: inout SegmentPattern) throws(ScriptError) {
        if scanner.take("-") { return }
        let start = scanner.offset
        while true {
            let flag: TCPFlags
            switch scanner.byte() {
            case UInt8(ascii: "F"): flag = .fin
            case UInt8(ascii: "S"): flag = .syn
            case UInt8(ascii: "R"): flag = .rst
            case UInt8(ascii: "P"): flag = .psh
            case UInt8(ascii: "."): flag = .ack
            case UInt8(ascii: "U"): flag = .urg
            case UInt8(ascii: "E"): flag = .ece
            case UInt8(ascii: "W"), UInt8(ascii: "C"): flag = .cwr
            case UInt8(ascii: "A"): flag = .ae
            case let byte
            where (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(byte) && scanner.offset > start
                && segment.ace == nil:
                segment.ace = byte - UInt8(ascii: "0")
                scanner.advance()
                continue
            default:
                guard scanner.offset > start, scanner.byte() <= UInt8(ascii: " ") else {
                    throw scanner.expected("TCP flags (F S R P . U E W A, or - for none), 'udp' or 'icmp'")
                }
                return
            }
            guard !segment.flags.contains(flag) else { throw scanner.expected("each flag once") }
            segment.flags.insert(flag)
            scanner.advance()
        }
    }

    /// `first:end(length)`
    private mutating func sequence() throws(ScriptError) -> (UInt32, UInt32, Int) {
        let start = UInt32(try scanner.number("a sequence number", limit: UInt64(UInt32.max)))
        try scanner.expect(":", "behind the first sequence number")
        try scanner.skipBlanks()
        let end = UInt32(try scanner.number("a sequence number", limit: UInt64(UInt32.max)))
        try scanner.expect("(", "and the length of the data")
        try scanner.skipBlanks()
        let length = Int(try scanner.number("the length of the data", limit: 1 << 30))
        try scanner.expect(")", "behind the length of the data")
        return (start, end, length)
    }

    // MARK: UDP and ICMP

    /// `udp (length)`, or `udp (source > destination) (length)`.
    private mutating func datagram() throws(ScriptError) -> DatagramPattern {
        scanner.advance(3)
        try scanner.expect("(", "and the length of the datagram's data")
        try scanner.skipBlanks()
        let first = try scanner.number("the length of the datagram's data, or a port", limit: UInt64(UInt16.max))
        try scanner.skipBlanks()
        if scanner.take(")") { return DatagramPattern(length: Int(first)) }
        try scanner.expect(">", "between two ports")
        try scanner.skipBlanks()
        let second = try scanner.number("a port", limit: UInt64(UInt16.max))
        try scanner.expect(")", "behind two ports")
        try scanner.expect("(", "and the length of the datagram's data")
        try scanner.skipBlanks()
        let length = Int(try scanner.number("the length of the datagram's data", limit: UInt64(UInt16.max)))
        try scanner.expect(")")
        return DatagramPattern(
            ports: .init(source: UInt16(first), destination: UInt16(second)), length: length)
    }

    /// `icmp type code mtu N [quotation]`
    private mutating func icmp() throws(ScriptError) -> ICMPPattern {
        _ = scanner.takeWord()
        try scanner.skipBlanks()
        guard ICMPNames.isType(scanner.peekWord()), let type = scanner.takeWord() else {
            throw scanner.expected("the type of an ICMP message, as 'unreachable' or 'type_3'")
        }
        var message = ICMPPattern(type: type)
        try scanner.skipBlanks()
        if !scanner.peekWord().isEmpty, scanner.peekWord() != "mtu" {
            guard ICMPNames.isCode(scanner.peekWord(), of: type), let code = scanner.takeWord() else {
                throw scanner.expected("a code of ICMP's '\(type)', as 'port_unreachable' or 'code_3'")
            }
            message.code = code
            try scanner.skipBlanks()
        }
        if scanner.takeWord("mtu") {
            try scanner.skipBlanks()
            message.mtu = UInt32(try scanner.number("the MTU", limit: UInt64(UInt32.max)))
            try scanner.skipBlanks()
        }
        if scanner.take("[") {
            try scanner.skipBlanks()
            message.quotation = try quotation()
        }
        return message
    }

    /// `1:1001(1000)]` or `udp (100)]`
    private mutating func quotation() throws(ScriptError) -> ICMPPattern.Quotation {
        let quotation: ICMPPattern.Quotation
        if scanner.takeWord("udp") {
            try scanner.expect("(", "and the length of the datagram's data")
            try scanner.skipBlanks()
            quotation = .datagram(length: Int(try scanner.number("the length of the datagram's data", limit: 65_535)))
            try scanner.expect(")")
        } else {
            let (start, end, length) = try sequence()
            quotation = .segment(start: start, end: end, length: length)
        }
        try scanner.expect("]", "behind what an ICMP message quotes")
        return quotation
    }
}
