import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.8.6.1: probing a closed window. A probe may carry one octet or none: both are accepted here.
@Suite("Zero window")
struct ZeroWindowTests {
    /// A connection whose peer has closed its window, with `count` octets waiting.
    private func closed(_ family: Family, waiting count: Int = 5000) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.window = 0
        peer.send(.ack)
        peer.offeredEdge = 1
        peer.write(count)
        peer.expectNothing()
        return peer
    }

    private func expectProbe(
        _ peer: ScriptedPeer, after wait: Duration, at: Int = 1, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard let probe = peer.expect(.ack, length: nil, after: wait, sourceLocation: sourceLocation) else { return }
        let isRight =
            probe.length == 1 && peer.relative(probe) == at || probe.length == 0 && peer.relative(probe) == at - 1
        if !isRight { peer.fail("expected a probe of one octet or none\n     got \(peer.text(probe))", sourceLocation) }
    }

    @Test(
        "The first probe comes after one RTO, the next ones ever later, up to 60 s [MUST-36, SHLD-29, SHLD-30, B-12]",
        arguments: Family.allCases)
    func schedule(family: Family) {
        let peer = closed(family)
        var wait = 200
        for _ in 0..<12 {
            expectProbe(peer, after: .milliseconds(wait))
            peer.send(.ack, ack: 1)
            peer.expectNothing()
            wait = min(60_000, wait * 2)
        }
    }

    @Test(
        "A user timeout shorter than the time between two probes ends nothing while they are answered, and does when one is not [MUST-37, U-42]",
        arguments: Family.allCases)
    func shortUserTimeout(family: Family) {
        let peer = closed(family)
        peer.setOptions { $0.userTimeout = .seconds(2) }
        var wait = 200
        for _ in 0..<8 {
            expectProbe(peer, after: .milliseconds(wait))
            peer.send(.ack, ack: 1)
            wait *= 2
        }
        peer.expectState(.established)
        expectProbe(peer, after: .milliseconds(wait))
        peer.host.advance(by: .milliseconds(1990))
        peer.expectState(.established)
        peer.host.advance(by: .milliseconds(20))
        peer.expectState(.closed)
    }

    @Test(
        "A window that stays closed never ends the connection while probes are answered [MUST-37, RFC 2525, 5482-4, 2525-12]",
        arguments: Family.allCases)
    func forever(family: Family) {
        let peer = closed(family)
        let end = peer.host.now + .seconds(86_400)
        var probes = 0
        while peer.host.now < end, peer.state == .established {
            peer.host.advance(to: end) { !peer.pending.isEmpty }
            probes += peer.discard()
            peer.send(.ack, ack: 1)
        }
        peer.expectState(.established)
        #expect(probes > 86_400 / 61)
        peer.window = 65535
        peer.send(.ack, ack: 1)
        #expect(peer.pending.contains { $0.length > 1 })
    }

    @Test(
        "A probe that waited for the link while the one before it was answered is followed by others [MUST-36, RFC 9293 §3.8.6.1]",
        arguments: Family.allCases)
    func probeBehindFullLink(family: Family) {
        let peer = closed(family)
        guard let first = peer.expect(.ack, length: nil, after: .milliseconds(200)), first.length == 1 else { return }
        // The timer runs off again while the link has no room, and only then the peer answers: it took the octet.
        peer.host.isLinkFull = true
        peer.host.advance(by: .milliseconds(500))
        peer.send(.ack, ack: 2)
        peer.host.isLinkFull = false
        peer.host.settle()
        peer.discard()
        // Whatever left then is lost: the window is still closed, and still asked for.
        peer.expect(.ack, length: nil, within: .seconds(61))
        peer.expect(.ack, length: nil, within: .seconds(61))
    }

    @Test(
        "Octets written when the window has long been closed are probed for: R2 counts from then [MUST-20, MUST-36, MUST-37]",
        arguments: Family.allCases)
    func longClosed(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.window = 0
        peer.send(.ack)
        peer.offeredEdge = 1
        peer.host.advance(by: .seconds(400))
        peer.write(100)
        peer.expectNothing()
        expectProbe(peer, after: .milliseconds(200))
        peer.expectState(.established)
    }

    @Test("A closed window whose probes nobody answers ends with R2 [MUST-20, MUST-37]", arguments: Family.allCases)
    func unanswered(family: Family) {
        let peer = closed(family)
        peer.host.advance(by: .seconds(1000))
        peer.expectState(.closed)
        #expect(peer.status?.error == .timedOut)
    }

    @Test("A lost window update is made good by the answer to a probe [MUST-36, B-12]", arguments: Family.allCases)
    func lostUpdate(family: Family) {
        let peer = closed(family)
        // The peer has opened its window, but that segment got lost. It answers the probe.
        expectProbe(peer, after: .milliseconds(200))
        let took = peer.received - 1
        peer.window = 65535
        peer.send(.ack)
        let all = peer.pending.map { (peer.relative($0), $0.length) }
        #expect(all.first.map { $0.0 } == 1 + took)
        #expect(all.map { $0.1 }.reduce(0, +) == 5000 - took)
    }

    @Test("Opening the window sends at once what fits [§3.8.6.1]", arguments: Family.allCases)
    func opens(family: Family) {
        let peer = closed(family)
        peer.host.advance(by: .milliseconds(50))
        peer.window = 3000
        peer.send(.ack, ack: 1)
        #expect(peer.pending.first.map(peer.relative) == 1)
        #expect(peer.pending.map(\.length).reduce(0, +) <= 3000)
        #expect(peer.pending.map(\.length).reduce(0, +) >= peer.mss)
    }

    @Test("If the peer takes the probe's octet the stream goes on behind it [§3.8.6.1]", arguments: Family.allCases)
    func octetTaken(family: Family) {
        let peer = closed(family)
        expectProbe(peer, after: .milliseconds(200))
        let next = peer.received
        peer.send(.ack, ack: next)
        peer.expectNothing()
        expectProbe(peer, after: .milliseconds(next > 1 ? 200 : 400), at: next)
    }

    @Test(
        "A probe of the peer, of 0, 1 or MSS octets, is answered once with RCV.NXT and the window [U-45, MAY-8]",
        arguments: Family.allCases)
    func answered(family: Family) {
        var configuration = Configuration()
        configuration.receiveBuffer = 4096
        let peer = ScriptedPeer(family, configuration)
        peer.establish()
        while peer.next < 4097 { peer.send(length: 1024) }
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        for length in [0, 1, 1460] {
            peer.send(seq: length == 0 ? 4096 : 4097, length: length)
            peer.expect(.ack, seq: 1, ack: 4097, window: 0)
            peer.expectNothing(for: .seconds(1))
        }
        peer.host.advance(by: .seconds(1000))
        peer.expectState(.established)
        peer.expectRead(4096)
    }

    @Test("Two closed windows end in no storm: each probe has one answer [B-13, U-44]", arguments: Family.allCases)
    func twoClosedWindows(family: Family) throws {
        var configuration = Configuration()
        configuration.receiveBuffer = 8192
        let pair = JoinedHosts(family, configuration, delay: .milliseconds(1))
        let listener = try pair.server.stack.listen(on: 80, at: pair.now)
        let one = try pair.client.stack.connect(to: Endpoint(pair.serverAddress, 80), at: pair.now)
        pair.run(for: .seconds(1))
        let other = try #require(pair.server.accept(listener))
        let octets = [UInt8](repeating: 9, count: 60_000)
        _ = try pair.client.stack.write(one, octets.span.bytes, at: pair.now)
        _ = try pair.server.stack.write(other, octets.span.bytes, at: pair.now)
        pair.run(for: .seconds(10))
        let before = pair.carried
        pair.run(for: .seconds(600))
        // Probes come once a minute in the end, from both sides, each with its answer.
        #expect(pair.carried - before < 120, "\(pair.carried - before) packets in ten minutes\n\(pair.trace())")
        #expect(pair.client.stack.status(of: one)?.state == .established)
        #expect(pair.server.stack.status(of: other)?.state == .established)
        // When both read, both directions finish.
        for _ in 0..<200 {
            for (host, id) in [(pair.client, one), (pair.server, other)] { _ = host.drain(id) }
            pair.run(for: .seconds(1))
        }
        #expect(pair.client.stack.status(of: one)?.unacknowledged == 0, "\(pair.trace())")
        #expect(pair.server.stack.status(of: other)?.unacknowledged == 0, "\(pair.trace())")
    }

    @Test("A FIN behind a closed window waits for it, and is probed for [U-15, MUST-36]", arguments: Family.allCases)
    func finWaits(family: Family) {
        let peer = closed(family, waiting: 100)
        peer.close()
        peer.expectNothing()
        peer.host.advance(by: .seconds(3))
        #expect(!peer.pending.isEmpty, "the window is probed")
        peer.discard()
        peer.window = 65535
        peer.send(.ack)
        peer.host.advance(by: .seconds(2))
        #expect(peer.received == 102)
        peer.send(.ack)
        peer.expectState(.finWait2)
    }

    @Test(
        "A window that opens before the next probe is an answer: R2 counts from then [MUST-20, MUST-37, U-42]",
        arguments: Family.allCases)
    func openedBetweenProbes(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.setOptions { $0.userTimeout = .seconds(2) }
        peer.write(3000)
        peer.discard()
        // The window closes in front of what is in flight; six probes are answered, the next is 12.8 s off.
        for probe in 0..<7 {
            if probe > 0 { peer.expect(.ack, seq: 1, length: 1, within: .seconds(10)) }
            peer.send(.ack, ack: 1, window: 0)
        }
        peer.host.advance(by: .seconds(5))
        peer.send(.ack, ack: 1)
        peer.host.advance(by: .milliseconds(1900))
        peer.expectState(.established)
        #expect(peer.pending.contains { peer.relative($0) == 1 && $0.length > 1 }, "the data goes again")
        peer.send(.ack)
        #expect(peer.status?.unacknowledged == 0)
    }
}
