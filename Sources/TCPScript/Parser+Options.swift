extension Parser {
    /// `<mss 1460,sackOK,nop>` or `<...>`.
    mutating func tcpOptions() throws(ScriptError) -> OptionsPattern {
        let start = scanner.position
        scanner.advance()
        try scanner.skipBlanks()
        if scanner.take("...") {
            try scanner.expect(">", "behind '<...'")
            return .any
        }
        var options: [OptionPattern] = []
        if scanner.take(">") { return .list(options) }
        while true {
            options.append(try tcpOption())
            try scanner.skipBlanks()
            if scanner.take(">") {
                try checkSize(options, start)
                return .list(options)
            }
            guard scanner.take(",") else { throw scanner.expected("',' or '>' behind a TCP option") }
            try scanner.skipBlanks()
        }
    }

    /// A header is counted in words of four octets. A cookie of the stack's own has any size.
    private func checkSize(_ options: [OptionPattern], _ start: SourcePosition) throws(ScriptError) {
        if options.contains(.fastOpen(nil)) || options.contains(.experimentalFastOpen(nil)) { return }
        let size = OptionCodec.octets(of: options).count
        guard size % 4 == 0 else {
            throw scanner.error(
                "expected TCP options of a multiple of four octets, by nop or eol where it takes them, found \(size)",
                at: start)
        }
        guard size <= 40 else {
            throw scanner.error("expected at most 40 octets of TCP options, found \(size)", at: start)
        }
    }

    private mutating func tcpOption() throws(ScriptError) -> OptionPattern {
        let start = scanner.position
        guard let word = scanner.takeWord() else { throw scanner.expected("a TCP option") }
        scanner.skipSpaces()
        switch word {
        case "eol": return .end
        case "nop": return .noOperation
        case "sackOK": return .sackPermitted
        case "mss": return .maximumSegmentSize(UInt16(try scanner.number("a segment size", limit: 65_535)))
        case "wscale": return .windowScale(UInt8(try scanner.number("a shift count", limit: 255)))
        case "sack": return .sack(try blocks())
        case "TS": return try timestamps()
        case "FO": return .fastOpen(try cookie())
        case "FOEXP": return .experimentalFastOpen(try cookie())
        case "md5": return .md5(try octets("the signature in hexadecimal"))
        case "ECN", "AccECN": return try accurateECN()
        case "exp":
            let identifier = try scanner.number("the identifier of an experiment", limit: 65_535)
            scanner.skipSpaces()
            let value = Scanner.digit(scanner.byte(), radix: 16) == nil ? [] : try octets("octets in hexadecimal")
            return .other(kind: 254, [UInt8(identifier >> 8), UInt8(identifier & 255)] + value)
        case "kind":
            let kind = UInt8(try scanner.number("the kind of a TCP option", limit: 255))
            scanner.skipSpaces()
            let value = Scanner.digit(scanner.byte(), radix: 16) == nil ? [] : try octets("octets in hexadecimal")
            return .other(kind: kind, value)
        default:
            throw scanner.error(
                "expected a TCP option (mss, wscale, sackOK, sack, TS, nop, eol, FO, FOEXP, md5, ECN, exp or kind), found '\(word)'",
                at: start)
        }
    }

    /// `1:1001 2001:3001`
    private mutating func blocks() throws(ScriptError) -> [OptionPattern.Block] {
        var blocks: [OptionPattern.Block] = []
        repeat {
            let start = UInt32(try scanner.number("the first number of a SACK block", limit: UInt64(UInt32.max)))
            try scanner.expect(":", "within a SACK block")
            try scanner.skipBlanks()
            let end = UInt32(try scanner.number("the last number of a SACK block", limit: UInt64(UInt32.max)))
            blocks.append(.init(start: start, end: end))
            try scanner.skipBlanks()
        } while Scanner.isDigit(scanner.byte())
        return blocks
    }

    /// `val 100 ecr 0`; `*` or `...` is any figure.
    private mutating func timestamps() throws(ScriptError) -> OptionPattern {
        guard scanner.takeWord("val") else { throw scanner.expected("'val' behind 'TS'") }
        let value = try timestamp()
        scanner.skipSpaces()
        guard scanner.takeWord("ecr") else { throw scanner.expected("'ecr' and the echoed timestamp") }
        return .timestamps(value: value, echo: try timestamp())
    }

    private mutating func timestamp() throws(ScriptError) -> UInt32? {
        scanner.skipSpaces()
        if scanner.take("*") || scanner.take("...") { return nil }
        return UInt32(try scanner.number("a timestamp", limit: UInt64(UInt32.max)))
    }

    /// `TFO_COOKIE`, hexadecimal, or nothing.
    private mutating func cookie() throws(ScriptError) -> [UInt8]? {
        if scanner.takeWord("TFO_COOKIE") || scanner.takeWord("cookie") { return nil }
        return Scanner.digit(scanner.byte(), radix: 16) == nil ? [] : try octets("a cookie in hexadecimal")
    }

    /// `e0b 1 ceb 0 e1b 1`: the order says which of the two kinds it is.
    private mutating func accurateECN() throws(ScriptError) -> OptionPattern {
        var counters: [UInt32] = []
        var names: [String] = []
        while let name = ["e0b", "ceb", "e1b"].first(where: { $0 == scanner.peekWord() }) {
            scanner.advance(3)
            scanner.skipSpaces()
            names.append(name)
            counters.append(UInt32(try scanner.number("a counter of 24 bits", limit: 0xFF_FFFF)))
            scanner.skipSpaces()
        }
        let kind: UInt8 = names.first == "e1b" ? 174 : 172
        let order = kind == 174 ? ["e1b", "ceb", "e0b"] : ["e0b", "ceb", "e1b"]
        guard names == Array(order.prefix(names.count)) else {
            throw scanner.error("expected the counters in the order e0b, ceb, e1b or e1b, ceb, e0b")
        }
        return .accurateECN(kind: kind, counters: counters)
    }

    private mutating func octets(_ what: String) throws(ScriptError) -> [UInt8] {
        let start = scanner.position
        if scanner.isNext("0x") { scanner.advance(2) }
        let digits = scanner.takeWhile { Scanner.digit($0, radix: 16) != nil }.utf8.compactMap {
            Scanner.digit($0, radix: 16)
        }
        guard !digits.isEmpty else { throw scanner.expected(what) }
        guard digits.count % 2 == 0, digits.count <= 76 else {
            throw scanner.error("expected \(what): two digits an octet, at most 38 octets", at: start)
        }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
