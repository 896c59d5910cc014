import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 5681, 6928, 3465: how much may be in flight, and what makes it more or less.
@Suite("Congestion control")
struct CongestionControlTests {
    private func bulk(_ family: Family, mss: UInt16 = 1400, sack: Bool = false, count: Int = 800_000) -> ScriptedPeer {
        let peer = ScriptedPeer(
            family, offer: ScriptedPeer.Offer(mss: mss, windowScale: 7, sack: sack))
        peer.establish()
        peer.write(count)
        return peer
    }

    @Test(
        "The initial window is ten segments, at most 14600 octets, at least two segments [RFC 6928 §2, 5681-1]",
        arguments: Family.allCases, [UInt16(500), 1220, 1440])
    func initialWindow(family: Family, mss: UInt16) {
        let peer = bulk(family, mss: mss)
        let wanted = min(10 * Int(mss), max(2 * Int(mss), 14_600))
        let sent = peer.pending.map(\.length).reduce(0, +)
        #expect(sent <= wanted && sent > wanted - Int(mss))
        #expect(peer.status?.congestionWindow == wanted)
    }

    @Test("The initial window of a jumbo MSS is two segments [RFC 6928 §2]", arguments: Family.allCases)
    func jumbo(family: Family) {
        var configuration = Configuration()
        configuration.mtu = 9000
        let peer = ScriptedPeer(family, configuration, offer: ScriptedPeer.Offer(mss: 8900))
        peer.establish()
        peer.write(100_000)
        #expect(peer.pending.map(\.length).reduce(0, +) == 2 * 8900)
    }

    @Test(
        "Slow start doubles the window each round trip [MUST-19, RFC 5681 §3.1, RFC 2525, 5681-2, 2525-1, 2525-3]",
        arguments: Family.allCases)
    func slowStart(family: Family) {
        let peer = bulk(family)
        var flights: [Int] = []
        for _ in 0..<4 {
            let flight = peer.pending.map { peer.relative($0) + $0.length }
            flights.append(flight.count)
            peer.discard()
            peer.host.advance(by: .milliseconds(10))
            for end in flight { peer.send(.ack, ack: end) }
        }
        #expect(flights == [10, 20, 40, 80])
    }

    @Test(
        "An ACK of many segments opens the window by two at most [RFC 3465 §2.2, RFC 5681 §3.1, 5681-2]",
        arguments: Family.allCases)
    func stretch(family: Family) {
        let peer = bulk(family)
        peer.discard()
        let before = peer.status?.congestionWindow ?? 0
        peer.send(.ack, ack: 1 + 10 * 1400)
        let after = peer.status?.congestionWindow ?? 0
        #expect(after > before)
        #expect(after - before <= 2 * 1400, "\((after - before) / 1400) segments for one ACK")
    }

    @Test(
        "A hundred ACKs for one segment open the window no more than one does [RFC 3465, B-38]",
        arguments: Family.allCases)
    func division(family: Family) {
        let peer = bulk(family)
        peer.discard()
        let before = peer.status?.congestionWindow ?? 0
        for step in 1...100 { peer.send(.ack, ack: 1 + 14 * step) }
        #expect((peer.status?.congestionWindow ?? 0) - before <= 1400)
        #expect(peer.pending.map(\.length).reduce(0, +) <= 2 * 1400)
    }

    @Test("An ACK of what was not sent, ahead of the data, opens nothing [B-38]", arguments: Family.allCases)
    func optimistic(family: Family) {
        let peer = bulk(family)
        peer.discard()
        let before = peer.status?.congestionWindow
        for step in 11...40 { peer.send(.ack, ack: 1 + 1400 * step) }
        #expect(peer.status?.congestionWindow == before)
        #expect(peer.pending.allSatisfy { $0.length == 0 })
    }

    @Test(
        "Forged duplicate ACKs release no more than what was in flight [RFC 5681 §3.2, B-38]",
        arguments: Family.allCases)
    func forgedDuplicates(family: Family) {
        let peer = bulk(family)
        peer.discard()
        for _ in 0..<500 { peer.send(.ack, ack: 1) }
        let new = peer.pending.filter { peer.relative($0) > 14_000 }.map(\.length).reduce(0, +)
        #expect(new <= 14_000, "\(new) octets for 500 forged duplicates of a flight of 14000")
    }

    @Test(
        "In congestion avoidance the window grows by about a segment each round trip [MUST-19, RFC 5681 §3.1, 5681-2, 2525-6]",
        arguments: Family.allCases)
    func avoidance(family: Family) {
        let peer = bulk(family)
        // A loss brings ssthresh to five segments.
        peer.discard()
        for _ in 0..<3 { peer.send(.ack, ack: 1) }
        peer.host.advance(by: .milliseconds(10))
        peer.discard()
        peer.send(.ack)
        var windows: [Int] = []
        for _ in 0..<6 {
            let ends = peer.pending.map { peer.relative($0) + $0.length }
            peer.discard()
            peer.host.advance(by: .milliseconds(10))
            for end in ends { peer.send(.ack, ack: end) }
            windows.append(peer.status?.congestionWindow ?? 0)
        }
        // The window left by recovery may lie below ssthresh: the first round trip takes it there.
        for index in 2..<windows.count {
            let growth = windows[index] - windows[index - 1]
            #expect(growth >= 0 && growth <= 1400 + 1400 / 4, "\(windows)")
        }
        #expect(windows.last! - windows.first! >= 3 * 1400, "\(windows)")
    }

    @Test(
        "On the third duplicate ssthresh is half the flight, at least two segments, cwnd not the base [RFC 5681 §3.2, 5681-3]",
        arguments: Family.allCases)
    func floor(family: Family) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 1400))
        peer.establish()
        peer.write(3 * 1400)
        peer.discard()
        for _ in 0..<3 { peer.send(.ack, ack: 1) }
        #expect(peer.status?.slowStartThreshold == 2 * 1400)
    }

    @Test(
        "A window update is no duplicate ACK, nor is one with data [RFC 5681 §2, 5681-10]", arguments: Family.allCases)
    func noDuplicates(family: Family) {
        let peer = bulk(family)
        peer.discard()
        for step in 1...6 { peer.send(.ack, ack: 1, window: UInt16(60_000 + step)) }
        for _ in 0..<6 { peer.send(.ack, ack: 1, length: 10, window: 60_006) }
        #expect(peer.pending.allSatisfy { peer.relative($0) > 1 || $0.length == 0 }, "nothing is sent again")
        #expect(peer.status?.retransmittedSegments == 0)
    }

    @Test("With nothing outstanding equal ACKs mean nothing [RFC 5681 §2, 5681-10]", arguments: Family.allCases)
    func nothingOutstanding(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        let before = peer.status?.congestionWindow
        for _ in 0..<10 { peer.send(.ack) }
        peer.expectNothing()
        #expect(peer.status?.congestionWindow == before)
    }

    @Test(
        "After an idle time longer than the RTO the window is the initial one again [RFC 5681 §4.1, B-10, 5681-7]",
        arguments: Family.allCases, [10, 3600, 50 * 86_400])
    func restart(family: Family, seconds: Int) {
        let peer = bulk(family, count: 200_000)
        for _ in 0..<30 where peer.status?.unacknowledged ?? 0 > 0 {
            let ends = peer.pending.map { peer.relative($0) + $0.length }
            peer.discard()
            peer.host.advance(by: .milliseconds(10))
            for end in ends { peer.send(.ack, ack: end) }
        }
        #expect(peer.status?.unacknowledged == 0)
        #expect(peer.status?.congestionWindow ?? 0 > 14_000)
        peer.discard()
        peer.host.advance(by: .seconds(seconds))
        peer.write(500_000)
        let burst = peer.pending.map(\.length).reduce(0, +)
        #expect(burst <= 14_000 && burst > 12_600)
    }

    @Test("A window the program does not use does not grow [RFC 7661, B-10, 5482-5]", arguments: Family.allCases)
    func applicationLimited(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        for _ in 0..<200 {
            peer.write(100)
            peer.host.advance(by: .milliseconds(10))
            peer.send(.ack)
            peer.discard()
        }
        #expect(peer.status?.congestionWindow ?? 0 <= 2 * 14_600)
    }

    @Test("No data past the peer's window, whatever cwnd is [§3.8.6]", arguments: Family.allCases)
    func peersWindow(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 4000
        peer.establish()
        peer.write(100_000)
        for _ in 0..<20 {
            let end = peer.pending.map { peer.relative($0) + $0.length }.max() ?? 0
            #expect(end <= peer.received - 1 + 4001 + 4000)
            #expect(peer.pending.map(\.length).reduce(0, +) <= 4000)
            peer.discard()
            peer.send(.ack)
        }
    }

    @Test(
        "With 1 % loss recovery does not stall at a round trip of 0, 10 or 50 µs [B-39]", arguments: Family.allCases,
        [(0, true), (5, false), (5, true), (25, true)])
    func tinyRTT(family: Family, link: (microseconds: Int, sack: Bool)) throws {
        var configuration = Configuration()
        configuration.selectiveAcknowledgment = link.sack
        let pair = JoinedHosts(family, configuration, delay: .microseconds(link.microseconds))
        var losses = Pseudorandom(seed: 3)
        pair.isLost = { _, _ in losses.next() % 100 == 0 }
        let listener = try pair.server.stack.listen(on: 80, at: pair.now)
        let id = try pair.client.stack.connect(to: Endpoint(pair.serverAddress, 80), at: pair.now)
        pair.run(for: .seconds(5))
        let other = try #require(pair.server.accept(listener))
        let total = 400_000
        var written = 0
        var read = 0
        let octets = [UInt8](repeating: 1, count: 100_000)
        for _ in 0..<60 where read < total {
            if written < total {
                written += try pair.client.stack.write(
                    id, octets.span.bytes.extracting(0..<min(100_000, total - written)), at: pair.now)
            }
            pair.run(for: .seconds(1))
            read += pair.server.drain(other)
        }
        #expect(read == total, "\(pair.trace())")
    }

    @Test("After a time of heavy loss the connection recovers [B-11]", arguments: Family.allCases)
    func heavyLoss(family: Family) throws {
        var configuration = Configuration()
        configuration.fixBuffers()
        let pair = JoinedHosts(family, configuration, delay: .milliseconds(5))
        let listener = try pair.server.stack.listen(on: 80, at: pair.now)
        let id = try pair.client.stack.connect(to: Endpoint(pair.serverAddress, 80), at: pair.now)
        pair.run(for: .seconds(1))
        let other = try #require(pair.server.accept(listener))
        var losses = Pseudorandom(seed: 5)
        let clean = pair.now + .seconds(2)
        pair.isLost = { [unowned pair] _, _ in pair.now < clean && losses.next() % 100 < 30 }
        let octets = [UInt8](repeating: 1, count: 500_000)
        #expect(try pair.client.stack.write(id, octets.span.bytes, at: pair.now) == 500_000)
        var read = 0
        for _ in 0..<100 where read < 500_000 {
            pair.run(for: .milliseconds(200))
            read += pair.server.drain(other)
        }
        #expect(read == 500_000, "\(read) octets in 20 s\n\(pair.trace())")
    }
}
