import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.7.4 and §3.9.1.2: Nagle's algorithm, PSH, and full segments.
@Suite("Nagle and PSH")
struct NagleTests {
    private func opened(_ family: Family, noDelay: Bool = false) -> ScriptedPeer {
        let peer = ScriptedPeer(family, .steadySegments)
        var options = ConnectionOptions()
        options.noDelay = noDelay
        peer.establish(options: options)
        return peer
    }

    @Test(
        "Of two one-octet writes the second waits for the ACK of the first [SHLD-7, MUST-17]",
        arguments: Family.allCases)
    func waits(family: Family) {
        let peer = opened(family)
        peer.write(1)
        peer.expect([.psh, .ack], seq: 1, length: 1)
        peer.write(1)
        peer.expectNothing(for: .milliseconds(100))
        peer.send(.ack)
        peer.expect([.psh, .ack], seq: 2, length: 1)
    }

    @Test("With no-delay both leave at once [MUST-17]", arguments: Family.allCases)
    func noDelay(family: Family) {
        let peer = opened(family, noDelay: true)
        for index in 0..<5 {
            peer.write(1)
            peer.expect([.psh, .ack], seq: 1 + index, length: 1)
        }
    }

    @Test("No-delay can be turned on while something waits, which then leaves [MUST-17]", arguments: Family.allCases)
    func turnedOn(family: Family) {
        let peer = opened(family)
        peer.write(1)
        peer.discard()
        peer.write(1)
        peer.expectNothing()
        peer.setOptions { $0.noDelay = true }
        peer.write(1)
        #expect(peer.pending.map(\.length).reduce(0, +) == 2)
    }

    @Test("What waits is sent as soon as it fills a segment [SHLD-7, SHLD-28]", arguments: Family.allCases)
    func fills(family: Family) {
        let peer = opened(family)
        peer.write(1)
        peer.discard()
        for _ in 0..<14 { peer.write(100) }
        peer.expectNothing()
        peer.write(100)
        peer.expect(.ack, seq: 2, length: peer.mss)
        peer.expectNothing()
        peer.send(.ack)
        peer.expect([.psh, .ack], length: 1500 - peer.mss)
    }

    @Test("A typist at 50 ms round trip has at most one small segment in flight [SHLD-7]", arguments: Family.allCases)
    func typing(family: Family) {
        let peer = opened(family)
        var acks: [(Instant, Int)] = []
        var largest = 0
        for _ in 0..<100 {
            peer.write(1)
            peer.host.advance(by: .milliseconds(10))
            for segment in peer.pending {
                acks.append((segment.time + .milliseconds(50), peer.relative(segment) + segment.length))
            }
            peer.discard()
            largest = max(largest, acks.count)
            while let first = acks.first, first.0 <= peer.host.now {
                acks.removeFirst()
                peer.send(.ack, ack: first.1)
                for segment in peer.pending {
                    acks.append((segment.time + .milliseconds(50), peer.relative(segment) + segment.length))
                }
                peer.discard()
            }
        }
        #expect(largest == 1)
    }

    @Test(
        "The FIN does not wait for Nagle, nor does what is in front of it [MUST-60, 2525-15]",
        arguments: Family.allCases)
    func closeFlushes(family: Family) {
        let peer = opened(family)
        peer.write(1)
        peer.discard()
        peer.write(10)
        peer.expectNothing()
        peer.close()
        peer.expect([.fin, .psh, .ack], seq: 2, length: 10)
    }

    @Test(
        "Data is never held without end: a small write leaves within bounded time [MUST-60]", arguments: Family.allCases
    )
    func bounded(family: Family) {
        let peer = opened(family)
        peer.write(3)
        peer.expect([.psh, .ack], length: 3)
        peer.write(3)
        // The ACK is lost, say; the timer's retransmission brings it, and then the rest leaves.
        peer.host.advance(by: .milliseconds(250))
        peer.send(.ack, ack: 4)
        peer.host.advance(by: .milliseconds(1))
        #expect(peer.pending.contains { peer.relative($0) == 4 && $0.length == 3 })
    }

    @Test("PSH is on the segment that empties the send queue, and on no other [MUST-61]", arguments: Family.allCases)
    func push(family: Family) {
        let peer = opened(family)
        peer.write(4000)
        let segments = peer.pending
        #expect(segments.map { $0.flags.contains(.psh) } == segments.indices.map { $0 == segments.count - 1 })
        #expect(segments.last.map { peer.relative($0) + $0.length } == 4001)
    }

    @Test("PSH stays with the end of the queue when it is sent again [MUST-61]", arguments: Family.allCases)
    func pushAgain(family: Family) {
        let peer = opened(family)
        peer.write(2 * peer.mss)
        peer.discard()
        peer.expect(.ack, seq: 1, length: peer.mss, after: .milliseconds(200))
        #expect(peer.history.last?.flags.contains(.psh) == false)
        peer.send(.ack, ack: 1 + peer.mss)
        peer.discard()
        peer.host.advance(by: .seconds(2))
        #expect(peer.history.last.map(peer.relative) == 1 + peer.mss)
        #expect(peer.history.last?.flags.contains(.psh) == true)
    }

    @Test("Ten small writes behind a full window leave as one segment [SHLD-27, MAY-16]", arguments: Family.allCases)
    func collapsed(family: Family) {
        let peer = opened(family, noDelay: true)
        peer.send(.ack, window: 0)
        for _ in 0..<10 { peer.write(100) }
        peer.discard()
        peer.send(.ack)
        peer.expect([.psh, .ack], seq: 1, length: 1000)
    }

    @Test("A received PSH is no record boundary: reads go across it [MAY-17]", arguments: Family.allCases)
    func receivedPush(family: Family) throws {
        let peer = opened(family)
        peer.send([.psh, .ack], length: 10)
        peer.send([.psh, .ack], length: 10)
        let (result, _) = try peer.read()
        #expect(result == .bytes(20))
    }

    @Test(
        "Writes take what there is room for; when room comes back the program is told [rule 4, U-19]",
        arguments: Family.allCases)
    func backPressure(family: Family) {
        var configuration = Configuration()
        configuration.sendBuffer = 10_000
        let peer = ScriptedPeer(family, configuration)
        peer.window = 0
        peer.establish()
        #expect(peer.write(8000) == 8000)
        #expect(peer.write(8000) == 2000)
        #expect(peer.write(1) == 0)
        #expect(peer.status?.room == 0)
        _ = peer.takeReadiness()
        peer.window = 65535
        peer.send(.ack)
        peer.discard()
        peer.send(.ack)
        #expect(peer.takeReadiness().contains(.writable))
        #expect(peer.write(5000) > 0)
    }
}
