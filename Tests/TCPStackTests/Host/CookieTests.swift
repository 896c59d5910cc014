import TCPEngine
import TCPStack
import TCPWire
import Testing

/// SYN cookies (RFC 4987 §3.6): what they carry, how long they are good, and what is no cookie.
@Suite("SYN cookies")
struct CookieTests {
    private func configuration(_ cookies: SynCookies = .always) -> Configuration {
        var configuration = Configuration()
        configuration.synCookies = cookies
        return configuration
    }

    private func peer(_ family: Family, offer: ScriptedPeer.Offer = .full, window: UInt16 = 65535) -> ScriptedPeer {
        let peer = ScriptedPeer(family, configuration(), offer: offer)
        peer.window = window
        return peer
    }

    /// The peer, with its connection accepted after a cookie.
    private func open(_ peer: ScriptedPeer, after delay: Duration = .milliseconds(10)) throws -> ConnectionDetails {
        peer.beginPassive()
        #expect(peer.host.stack.memory.halfOpenCount == 0 && peer.host.stack.flows().isEmpty)
        peer.host.advance(by: delay)
        peer.send(.ack)
        peer.accept()
        #expect(peer.host.stack.audit() == nil)
        return try #require(peer.connection.flatMap { peer.host.stack.details(of: $0) })
    }

    @Test("A SYN that gets a cookie leaves nothing behind [RFC 4987 §3.6, 4987-3]", arguments: Family.allCases)
    func nothingHeld(family: Family) {
        let peer = peer(family)
        peer.listen()
        let before = peer.host.stack.memory
        for number in 0..<100 {
            let other = ScriptedPeer(family, host: peer.host, port: UInt16(5000 + number), offer: .full)
            other.send(.syn)
            other.expect([.syn, .ack], seq: nil, ack: 1)
        }
        #expect(peer.host.stack.memory == before)
        #expect(peer.host.stack.nextDeadline == nil)
        #expect(peer.host.stack.counters.cookiesSent == 100)
    }

    @Test(
        "All listeners together keep no more half-open connections than there may be [4987-1]",
        arguments: Family.allCases)
    func allTogether(family: Family) throws {
        var configuration = configuration(.never)
        configuration.halfOpenConnections = 6
        configuration.halfOpenShare = 100
        let host = VirtualHost(configuration)
        for port in [80, 81] as [UInt16] { _ = try host.stack.listen(on: port, at: host.now) }
        for number in 0..<10 {
            // Each from a source of its own: a /64 is one.
            let source =
                family == .ipv4
                ? family.address(100 + number) : IPAddress(high: 0xFD01 << 48 | UInt64(number), low: 1)
            host.inject(
                Injection(
                    source: Endpoint(source, 5000),
                    destination: Endpoint(family.stackAddress, UInt16(80 + number % 2)), sequence: SequenceNumber(1),
                    flags: .syn
                ).packet())
        }
        #expect(host.stack.memory.halfOpenCount == 6 && host.stack.audit() == nil)
    }

    @Test(
        "With timestamps a cookie brings back MSS, window scale and SACK [RFC 4987 §3.6, 4987-4]",
        arguments: Family.allCases, [UInt8(0), 7, 14])
    func options(family: Family, shift: UInt8) throws {
        let peer = peer(family, offer: .init(mss: 1460, windowScale: shift, sack: true, timestamps: true))
        let details = try open(peer)
        #expect(details.state == .established)
        #expect(details.usesTimestamps && details.usesSACK && details.usesScaling)
        #expect(details.sendScale == shift)
        // 1460 stands in the table of either family, or what the family's MTU leaves is less.
        #expect(details.segmentSize == peer.mss || family == .ipv6 && details.segmentSize == 1440 - 12)
        // The window of the third segment counts in the peer's unit.
        #expect(details.sendWindow == 65535 << Int(shift))
        // And the connection works both ways: the ledger holds each segment against windows and clocks.
        peer.send(length: 1000)
        peer.expectRead(1000)
        peer.write(3000)
        peer.host.advance(by: .milliseconds(1))
        #expect(peer.history.reduce(0) { $0 + $1.length } >= 3000)
    }

    @Test("Each option comes back by itself [4987-4]", arguments: Family.allCases, 0..<4)
    func eachOption(family: Family, combination: Int) throws {
        let offer = ScriptedPeer.Offer(
            mss: 1460, windowScale: combination & 1 != 0 ? 3 : nil, sack: combination & 2 != 0, timestamps: true)
        let details = try open(peer(family, offer: offer))
        #expect(details.usesScaling == (combination & 1 != 0))
        #expect(details.usesSACK == (combination & 2 != 0))
        #expect(details.sendScale == (combination & 1 != 0 ? 3 : 0))
    }

    @Test("Without timestamps nothing but an MSS is offered [RFC 4987 §3.6, 4987-4]", arguments: Family.allCases)
    func withoutTimestamps(family: Family) throws {
        let peer = peer(family, offer: .init(mss: 1300, windowScale: 7, sack: true))
        peer.listen()
        peer.send(.syn)
        let answer = peer.expect([.syn, .ack], ack: 1)
        #expect(answer?.tcp.options.windowScale == nil && answer?.tcp.options.sackPermitted == false)
        #expect(answer?.tcp.options.timestamps == nil && answer?.tcp.options.maximumSegmentSize != nil)
        peer.agree(stack: answer)
        peer.send(.ack)
        peer.accept()
        let details = try #require(peer.connection.flatMap { peer.host.stack.details(of: $0) })
        #expect(!details.usesScaling && !details.usesSACK && !details.usesTimestamps)
        #expect(details.receiveScale == 0 && details.sendScale == 0)
        #expect(details.segmentSize <= 1300 && details.segmentSize >= 1220)
    }

    @Test(
        "The MSS that comes back is the largest of eight that the peer can take [RFC 9293 MUST-15, 4987-4]",
        arguments: [true, false])
    func sizes(isIPv4: Bool) {
        var seen: Set<UInt16> = []
        for size in [UInt16](40...9100) + [65535] {
            var options = TCPOptions()
            options.maximumSegmentSize = size
            let cookie = SynCookie(options, isIPv4: isIPv4, timestamps: false, sack: true, scaling: true)
            let kept = cookie.segmentSize(isIPv4: isIPv4)
            seen.insert(kept)
            // Below 48 no segment is ever sent (6691-2).
            #expect(kept <= max(size, 48), "\(size)")
            // What links have today loses an eighth at most.
            if (1220...1500).contains(size) { #expect(kept >= size / 8 * 7, "\(size) became \(kept)") }
        }
        #expect(seen.count == 8)
        let silent = SynCookie(TCPOptions(), isIPv4: isIPv4, timestamps: true, sack: true, scaling: true)
        #expect(silent.segmentSize(isIPv4: isIPv4) == (isIPv4 ? 536 : 1220))
    }

    @Test(
        "A cookie is good for 64 s at least and 128 s at most [RFC 4987 §3.6, 4987-5]", arguments: Family.allCases,
        [(1, 63, true), (63, 64, true), (1, 126, true), (1, 127, false), (63, 66, false), (63, 200, false)])
    func validity(family: Family, times: (start: Int, wait: Int, isGood: Bool)) throws {
        let peer = peer(family)
        peer.host.advance(to: Instant(nanoseconds: Int64(times.start) * 1_000_000_000)) { false }
        peer.beginPassive()
        peer.host.advance(by: .seconds(times.wait))
        peer.send(.ack)
        if times.isGood {
            peer.accept()
            peer.expectState(.established)
        } else {
            peer.expect(.rst, seq: 1)
            #expect(peer.host.stack.memory.connectionCount == 0)
        }
    }

    @Test(
        "A third segment that is wrong in one thing draws a reset, and makes nothing [RFC 9293 §3.10.7.2, 4987-2, U-10]",
        arguments: Family.allCases)
    func wrong(family: Family) throws {
        func attempt(_ what: String, _ change: (ScriptedPeer) -> Void) {
            let peer = peer(family)
            peer.beginPassive()
            change(peer)
            #expect(peer.host.stack.memory.connectionCount == 0, "\(what)")
            peer.expect(.rst)
            #expect(peer.host.stack.counters.cookiesRefused == 1, "\(what)")
        }
        attempt("acknowledgment one too high") { $0.send(.ack, ack: 2) }
        attempt("acknowledgment one too low") { $0.send(.ack, ack: 0) }
        attempt("acknowledgment of another size") { $0.send(.ack, ack: 1 + 1) }
        attempt("sequence number one too high") { $0.send(.ack, seq: 2) }
        attempt("sequence number one too low") { $0.send(.ack, seq: 0) }
        attempt("no timestamps") { $0.send(.ack, options: []) }
        attempt("another window scale") { peer in
            peer.send(.ack, options: [.nop, .nop, .timestamps(peer.timestamp, echo: peer.lastTimestamp ^ 1)])
        }
        attempt("SACK where there was none, or none where there was") { peer in
            peer.send(.ack, options: [.nop, .nop, .timestamps(peer.timestamp, echo: peer.lastTimestamp ^ 16)])
        }
        attempt("the bit kept for ECN") { peer in
            peer.send(.ack, options: [.nop, .nop, .timestamps(peer.timestamp, echo: peer.lastTimestamp ^ 32)])
        }
        attempt("an echo of a time that is still to come") { peer in
            peer.send(.ack, options: [.nop, .nop, .timestamps(peer.timestamp, echo: peer.lastTimestamp &+ 64)])
        }
        attempt("an echo of a time long ago") { peer in
            peer.send(.ack, options: [.nop, .nop, .timestamps(peer.timestamp, echo: peer.lastTimestamp &- 192_000)])
        }
        attempt("SYN on it") { peer in peer.send([.syn, .ack], seq: 1) }
        attempt("another port") { peer in
            peer.send(.ack) { $0.source = Endpoint($0.source.address, $0.source.port + 1) }
            peer.pending += peer.host.strays
        }
    }

    @Test("Without ACK, or with RST, nothing is said and nothing made [RFC 9293 §3.10.7.2]", arguments: Family.allCases)
    func silent(family: Family) {
        let peer = peer(family)
        peer.beginPassive()
        peer.send([.rst, .ack])
        peer.send(.fin, seq: 1)
        peer.expectNothing()
        #expect(peer.host.stack.memory.connectionCount == 0)
        // The cookie is as good as before.
        peer.send(.ack, seq: 1)
        peer.accept()
    }

    @Test("The cookie of a listener that has ended is none of the next one [4987-5]", arguments: Family.allCases)
    func otherListener(family: Family) throws {
        let peer = peer(family)
        peer.beginPassive()
        peer.host.stack.stopListening(try #require(peer.listener), at: peer.host.now)
        peer.listen()
        // So that the new one has cookies out as well.
        let other = ScriptedPeer(family, host: peer.host, port: 4001, offer: .full)
        other.listener = peer.listener
        other.beginPassive()
        peer.send(.ack)
        peer.expect(.rst, seq: 1)
        #expect(peer.host.stack.memory.connectionCount == 0)
    }

    @Test("A cookie can come back with octets, and with a FIN [U-19, U-20, 4987-3]", arguments: Family.allCases)
    func withOctets(family: Family) throws {
        let peer = peer(family)
        peer.beginPassive()
        // The third segment was lost; this one acknowledges as well.
        peer.send([.ack, .psh], length: 500)
        peer.accept()
        peer.send([.ack, .fin], length: 100)
        peer.expectRead(600)
        peer.expectRead(.endOfStream)
        peer.expectState(.closeWait)
    }

    @Test(
        "Our clock goes on from the cookie's timestamp and never back [RFC 7323 §5.4, 7323-12]",
        arguments: Family.allCases)
    func clock(family: Family) throws {
        for wait in 0..<70 {
            let peer = peer(family)
            peer.host.advance(by: .milliseconds(wait))
            peer.beginPassive()
            let first = peer.lastTimestamp
            peer.send(.ack)
            peer.accept()
            peer.write(10)
            let data = try #require(peer.expect([.psh, .ack], length: 10))
            let second = try #require(data.tcp.options.timestamps?.value)
            let lead = Int32(bitPattern: second &- first)
            #expect(lead >= 0 && lead < 64, "\(wait)")
        }
    }

    @Test(
        "A connection that came of a cookie begins with the usual window and RTO: nothing was lost [RFC 6928, RFC 6298 §5.7]",
        arguments: Family.allCases)
    func congestion(family: Family) throws {
        let details = try open(peer(family), after: .milliseconds(500))
        #expect(details.congestionWindow == 10 * details.segmentSize)
        #expect(details.retransmissionTimeout == 1_000_000_000)
    }

    @Test(
        "A SYN that got a cookie and then, sent again, an entry may be acknowledged either way [RFC 4987 §3.6]",
        arguments: Family.allCases, [false, true])
    func cookieThenEntry(family: Family, byCookie: Bool) throws {
        var configuration = configuration(.underPressure)
        configuration.halfOpenPerListener = 1
        configuration.halfOpenShare = 100
        let first = ScriptedPeer(family, configuration, number: 3)
        first.beginPassive()
        let late = ScriptedPeer(family, host: first.host, number: 4, offer: .full)
        late.listener = first.listener
        late.beginPassive()
        #expect(late.host.stack.counters.cookiesSent == 1)
        let cookie = late.stackISN
        let stamp = late.lastTimestamp
        first.send(.rst, seq: 1)
        late.host.advance(by: .seconds(1))
        late.send(.syn, seq: 0)
        let second = late.expect([.syn, .ack], ack: 1)
        #expect(late.host.stack.memory.halfOpenCount == 1)
        #expect(second?.tcp.sequence != cookie)
        if byCookie {
            late.lastTimestamp = stamp
        } else {
            late.stackISN = second?.tcp.sequence
        }
        late.grantedEdge = nil
        late.send(.ack)
        late.accept()
        late.expectState(.established)
        late.expectNothing()
        #expect(late.host.stack.memory.halfOpenCount == 0)
        late.send(length: 10)
        late.expectRead(10)
        #expect(late.host.stack.audit() == nil)
    }

    @Test(
        "A SYN that reopens a connection in TIME-WAIT gets an entry, whose ISN is larger [RFC 1122 §4.2.2.13, MAY-2]",
        arguments: Family.allCases)
    func timeWait(family: Family) throws {
        let peer = peer(family, offer: .timestamps)
        peer.enter(.timeWait)
        let last = try #require(peer.history.last?.tcp.sequence)
        let again = ScriptedPeer(family, host: peer.host, isn: 0x3000_0000, offer: .timestamps)
        again.listener = peer.listener
        again.host.advance(by: .milliseconds(50))
        again.send(.syn)
        let answer = try #require(again.expect([.syn, .ack], ack: 1))
        #expect(answer.tcp.sequence > last)
        #expect(again.host.stack.memory.halfOpenCount == 1)
    }
}
