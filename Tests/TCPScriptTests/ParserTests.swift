import TCPScript
import TCPWire
import Testing

/// Reads one event and gives what it does.
private func action(_ text: String) throws -> ScriptEvent.Action {
    let script = try Parser.parse(text, name: "test")
    #expect(script.events.count == 1)
    return script.events[0].action
}

private func segment(_ text: String) throws -> SegmentPattern {
    guard case .packet(let packet) = try action("0 " + text), case .tcp(let segment) = packet.transport else {
        throw Unexpected(text: text)
    }
    return segment
}

private func call(_ text: String) throws -> SocketCall {
    guard case .call(let call) = try action(text) else { throw Unexpected(text: text) }
    return call
}

private struct Unexpected: Error { var text: String }

@Suite("The script language") struct ParserTests {
    @Test(
        "Times: absolute, relative, any, and ranges of both kinds",
        arguments: [
            ("0", EventTime.absolute(0)), (".1", .absolute(100_000_000)), ("1.000000001", .absolute(1_000_000_001)),
            ("+0", .relative(0)), ("+.250", .relative(250_000_000)), ("+7200", .relative(7_200_000_000_000)),
            ("*", .any), ("0.1~0.2", .absoluteRange(100_000_000, 200_000_000)),
            ("+0~+0.5", .relativeRange(0, 500_000_000)), ("+.21~+.215", .relativeRange(210_000_000, 215_000_000)),
        ])
    func times(text: String, time: EventTime) throws {
        let script = try Parser.parse("\(text) > . 1:1(0) ack 1", name: "test")
        #expect(script.events[0].time == time)
        #expect(try Parser.parse("\(time.text) > . 1:1(0) ack 1", name: "test").events[0].time == time)
    }

    @Test("A call that blocks has an end, behind three points, with or without a sign in front of its start")
    func blocking() throws {
        let script = try Parser.parse(
            "+.08...0.180 connect(3, ..., ...) = 0\n0...0.2 accept(3, ..., ...) = 4", name: "test")
        #expect(script.events.map(\.time) == [.relative(80_000_000), .absolute(0)])
        guard case .call(let first) = script.events[0].action, case .call(let second) = script.events[1].action else {
            throw Unexpected(text: script.text)
        }
        #expect(first.end == 180_000_000)
        #expect(second.end == 200_000_000)
    }

    @Test(
        "Flags by letter, ECN's among them, the point for ACK, a digit for the counter of accurate ECN, a dash for none",
        arguments: [
            ("S", TCPFlags.syn, nil), ("S.", [.syn, .ack], nil), (".", .ack, nil), ("FP.", [.fin, .psh, .ack], nil),
            ("SEW", [.syn, .ece, .cwr], nil), ("SE.", [.syn, .ece, .ack], nil), ("SEWA", [.syn, .ece, .cwr, .ae], nil),
            ("R.", [.rst, .ack], nil), ("PU.", [.psh, .urg, .ack], nil), ("-", [], nil), (".5", .ack, 5),
            ("P.0", [.psh, .ack], 0),
        ] as [(String, TCPFlags, UInt8?)])
    func flags(text: String, flags: TCPFlags, ace: UInt8?) throws {
        let segment = try segment("> \(text) 0:0(0) ack 1")
        #expect(segment.flags == flags)
        #expect(segment.ace == ace)
    }

    @Test("Every option of a segment, alone and in company")
    func options() throws {
        let all: [(String, OptionPattern)] = [
            ("mss 1460", .maximumSegmentSize(1460)), ("wscale 7", .windowScale(7)), ("sackOK", .sackPermitted),
            ("nop", .noOperation), ("eol", .end), ("sack 1:2", .sack([.init(start: 1, end: 2)])),
            ("sack 1:2 3:4", .sack([.init(start: 1, end: 2), .init(start: 3, end: 4)])),
            ("TS val 100 ecr 0", .timestamps(value: 100, echo: 0)),
            ("TS val * ecr 7", .timestamps(value: nil, echo: 7)),
            ("FO", .fastOpen([])), ("FO 00ff", .fastOpen([0, 255])), ("FO TFO_COOKIE", .fastOpen(nil)),
            ("FOEXP a1b2", .experimentalFastOpen([0xA1, 0xB2])),
            ("md5 000102030405060708090a0b0c0d0e0f", .md5(Array(0..<16))),
            ("ECN e0b 1 ceb 2 e1b 3", .accurateECN(kind: 172, counters: [1, 2, 3])),
            ("ECN e1b 1", .accurateECN(kind: 174, counters: [1])),
            ("exp 0x1234 56", .other(kind: 254, [0x12, 0x34, 0x56])),
            ("kind 253", .other(kind: 253, [])), ("kind 76 0102", .other(kind: 76, [1, 2])),
        ]
        for (text, option) in all {
            // A header is counted in words: nops fill the last one.
            let sizes = (0..<4).filter {
                (try? segment(
                    "< . 1:1(0) ack 1 <" + Array(repeating: "nop", count: $0).joined(separator: ",")
                        + ($0 > 0 ? "," : "") + text + ">")) != nil
            }
            let count = try #require(sizes.first, "\(text)")
            #expect(sizes.count == 1 || text == "FO TFO_COOKIE", "\(text)")
            let nops = String(repeating: "nop, ", count: count)
            #expect(
                try segment("< . 1:1(0) ack 1 win 5 <\(nops)\(text) >").options
                    == .list(Array(repeating: .noOperation, count: count) + [option]), "\(text)")
        }
        #expect(try segment("> S. 0:0(0) ack 1 <...>").options == .any)
        #expect(try segment("> S. 0:0(0) ack 1").options == .list([]))
    }

    @Test(
        "Window, urgent pointer and acknowledgment are there or left open; blanks may stand between number and length")
    func fields() throws {
        let full = try segment("< PU. 1:1001 (1000) ack 5 win 257 urg 3")
        #expect(full.start == 1 && full.end == 1001 && full.length == 1000)
        #expect(full.acknowledgment == 5 && full.window == 257 && full.urgent == 3)
        let bare = try segment("> S 4294967295:4294967295(0) win *")
        #expect(bare.start == 4_294_967_295)
        #expect(bare.acknowledgment == nil && bare.window == nil && bare.urgent == nil)
        #expect(try segment("> . 4294967290:4(10)").end == 4)
        #expect(try segment("< tcp (40000 > 80) S 0:0(0)").ports == .init(source: 40000, destination: 80))
    }

    @Test("The brackets in front of a packet speak of its IP header")
    func network() throws {
        guard case .packet(let packet) = try action("0 < [ect0, ttl 3] [tos 0x10] . 1:1(0) ack 1") else { return }
        #expect(packet.network.ecn == .capable0)
        #expect(packet.network.hopLimit == 3)
        #expect(packet.network.trafficClass == 16)
        for ecn in NetworkPattern.ECN.allCases {
            guard case .packet(let packet) = try action("0 > [\(ecn.rawValue)] . 1:1(0) ack 1") else { return }
            #expect(packet.network.ecn == ecn)
        }
        guard case .packet(let six) = try action("0 > ipv6 fd00::1 > fd00::2: . 1:1(0) ack 1") else { return }
        #expect(six.headers == [.ip(source: IPAddress("fd00::1")!, destination: IPAddress("fd00::2")!)])
        guard case .packet(let four) = try action("0 < ipv4 10.0.0.1 > 10.0.0.2: gre: mpls (label 0): S 0:0(0)") else {
            return
        }
        #expect(four.headers.count == 3)
    }

    @Test("ICMP quotes a segment in front, as the one dialect has it, or behind, as the other")
    func icmp() throws {
        guard case .packet(let first) = try action("0 < [1:1461(1460)] icmp unreachable frag_needed mtu 1200"),
            case .icmp(let front) = first.transport,
            case .packet(let second) = try action("0 <icmp unreachable frag_needed mtu 1200 [1:1461(1460)]"),
            case .icmp(var behind) = second.transport
        else { throw Unexpected(text: "icmp") }
        #expect(front.quotation == .segment(start: 1, end: 1461, length: 1460))
        #expect(front.mtu == 1200)
        behind.quotesFirst = true
        #expect(front == behind)
        #expect(first.transport != second.transport)
        _ = try action("0 < icmp type_255 code_0")
        _ = try action("0 > udp (100)")
        _ = try action("0 < udp (53 > 5353) (12)")
        _ = try action("0 < [udp (100)] icmp unreachable port_unreachable")
    }

    @Test("Arguments: numbers, constants joined by bars, lists, structures, calls, strings, and whatever is fit")
    func arguments() throws {
        let message = try call(
            "0 recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0, msg_control=[{cmsg_level=SOL_TCP}]}, 0) = 1000"
        )
        #expect(message.arguments.count == 3)
        #expect(message.result == .integer(1000, isHexadecimal: false))
        let flags = try call("0 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0x2 (flags O_RDWR)")
        #expect(flags.arguments[2] == .union(.symbol("O_RDWR"), .symbol("O_NONBLOCK")))
        #expect(flags.note == "flags O_RDWR")
        #expect(flags.result == .integer(2, isHexadecimal: true))
        let failed = try call("0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)")
        #expect(failed.errorName == "EINPROGRESS")
        let bind = try call(
            #"0 bind(3, {sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("10.0.0.1")}, ...) = 0"#)
        #expect(
            bind.arguments[1]
                == .structure([
                    .init(name: "sa_family", value: .symbol("AF_INET")),
                    .init(name: "sin_port", value: .call("htons", [.integer(80, isHexadecimal: false)])),
                    .init(name: "sin_addr", value: .call("inet_addr", [.string("10.0.0.1")])),
                ]))
        let poll = try call("0 poll([{fd=4, events=POLLIN|POLLOUT, revents=0}], 1, -1) = 1")
        #expect(poll.arguments[2] == .integer(-1, isHexadecimal: false))
    }

    @Test("Option lines, commands before the first event, comments of three kinds")
    func preamble() throws {
        let script = try Parser.parse(
            """
            // a comment
            --tolerance_usecs=5000   // as long as this
            --local_ip=10.0.0.1
            `./defaults.sh
             sysctl -q net.ipv4.tcp_sack=0`
            # another
            /* and one
               over two lines */ 0 `true`
            """, name: "test")
        #expect(script.options.map(\.name) == ["tolerance_usecs", "local_ip"])
        #expect(script.options.map(\.value) == ["5000", "10.0.0.1"])
        #expect(script.setUp.map(\.text) == ["./defaults.sh\n sysctl -q net.ipv4.tcp_sack=0"])
        #expect(script.events.count == 1)
        #expect(script.events[0].position == SourcePosition(line: 8, column: 22))
    }

    @Test(
        "What cannot be read is told with line and column, what was expected, and what stands there",
        arguments: [
            ("", 1, 1, "expected an event"), ("0 listen(3, 1)", 1, 15, "expected '='"),
            ("0 listen(3, 1 = 0", 1, 15, "expected ',' or ')', found '='"),
            ("0 > S 0:0(0)\n0 > Q 0:0(0)", 2, 5, "expected TCP flags"),
            ("0 > S 0:5(0)", 1, 7, "expected 0:0(0)"), ("0 > S 0:0(0) <mss>", 1, 18, "expected a segment size"),
            ("0 > S 0:0(0) <mss 70000>", 1, 19, "at most 65535"),
            ("0 > S 0:0(0) <foo>", 1, 15, "expected a TCP option"),
            ("0 > S 0:0(0) <nop>", 1, 14, "multiple of four"), ("0 > SS 0:0(0)", 1, 6, "expected each flag once"),
            ("0 < . 1:1(0) ack x", 1, 18, "expected an acknowledgment number, found 'x'"),
            ("0 < . 1:1(0) ack 99999999999", 1, 18, "at most 4294967295"), ("0.2~0.1 > . 1:1(0)", 1, 4, "ends before"),
            ("0~+1 > . 1:1(0)", 1, 2, "both ends"), ("+x listen(3, 1) = 0", 1, 2, "expected a time"),
            ("0 %{ assert (1 }%", 1, 16, "expected ',' or ')'"), ("0 %{ assert 1", 1, 3, "no end"),
            ("0 `true", 1, 3, "no end"), ("/* open", 1, 1, "no end"), ("0 ", 1, 3, "found the end of the script"),
            ("0 < icmp nonsense", 1, 10, "expected the type"),
            ("0 < icmp unreachable nonsense", 1, 22, "expected a code"),
            ("0 < [wet] . 1:1(0)", 1, 6, "expected ect0"), ("0 read(3, \"abc, 5) = 5", 1, 11, "no end"),
            ("0 < sctp: INIT", 1, 5, "TCP, UDP or ICMP"), ("x", 1, 1, "expected the time of an event"),
            ("0 < ipv4 10.0.0.300 > 10.0.0.1: S 0:0(0)", 1, 10, "IPv4 address"),
            ("--=5", 1, 3, "the name of an option"), ("0 %{ a b }%", 1, 8, "expected an operator"),
        ])
    func errors(text: String, line: Int, column: Int, message: String) {
        do {
            let script = try Parser.parse(text, name: "bad.pkt")
            Issue.record("it was read as \(script.text)")
        } catch {
            #expect(error.position == SourcePosition(line: line, column: column), "\(error)")
            #expect(error.message.contains(message), "\(error)")
            #expect(error.description.hasPrefix("bad.pkt:\(line):\(column): "))
        }
    }

    @Test("Text that goes ever deeper is refused, not followed until the stack is full")
    func depth() {
        let hostile = [
            "0 f(" + String(repeating: "[", count: 100_000), "0 f(" + String(repeating: "{", count: 100_000),
            "0 f(" + String(repeating: "g(", count: 100_000), "0 f(" + String(repeating: "A|", count: 100_000),
            "0 %{ assert " + String(repeating: "(", count: 100_000),
            "0 %{ assert " + String(repeating: "not ", count: 100_000),
            "0 %{ assert " + String(repeating: "-", count: 100_000),
            "0 %{ assert 1" + String(repeating: "+1", count: 100_000) + " }%",
            "0 %{ assert 1" + String(repeating: " if 1 else 1", count: 100_000) + " }%",
            "0 %{ assert 1" + String(repeating: "**1", count: 100_000) + " }%",
            "0 %{ assert 1" + String(repeating: " or 1", count: 100_000) + " }%",
        ]
        for text in hostile {
            #expect(throws: ScriptError.self) { try Parser.parse(text, name: "deep") }
        }
    }
}
