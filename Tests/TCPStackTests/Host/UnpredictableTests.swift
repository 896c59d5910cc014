import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.4.1, RFC 6528: initial sequence numbers.
@Suite("Initial sequence numbers")
struct UnpredictableTests {
    /// The ISN a stack answers a SYN of `port` with.
    private func isn(_ host: VirtualHost, _ family: Family, port: UInt16 = 4000, number: Int = 2) -> UInt32 {
        let peer = ScriptedPeer(family, host: host, number: number, port: port)
        peer.send(.syn)
        let answer = peer.expect([.syn, .ack])
        peer.send(.rst)
        return answer?.tcp.sequence.rawValue ?? 0
    }

    private func listening(_ family: Family, secret: StackSecret = StackSecret(5, 6), at start: Int64 = 1_000_000_000)
        -> VirtualHost
    {
        let host = VirtualHost(secret: secret, at: Instant(nanoseconds: start), families: [family])
        do { _ = try host.stack.listen(on: 80, at: host.now) } catch { Issue.record("listen threw \(error)") }
        return host
    }

    @Test("One four-tuple's ISN advances by 250 each millisecond [MUST-8, SHLD-1, 6528-1]", arguments: Family.allCases)
    func clock(family: Family) {
        let host = listening(family)
        var last = isn(host, family)
        for milliseconds in [1, 1, 10, 1000, 60_000] {
            host.advance(by: .milliseconds(milliseconds))
            let next = isn(host, family)
            #expect(next &- last == UInt32(250 * milliseconds))
            last = next
        }
    }

    @Test("Its clock wraps without a jump after 2^32 ticks of 4 µs [MUST-8]", arguments: Family.allCases)
    func clockWraps(family: Family) {
        let wrap = (Int64(1) << 32) * 4_000
        let host = listening(family, at: wrap - 1_000_000)
        let before = isn(host, family)
        host.advance(by: .milliseconds(2))
        #expect(isn(host, family) &- before == 500)
    }

    @Test("An active open draws from the same clock [MUST-8]", arguments: Family.allCases)
    func active(family: Family) {
        let peer = ScriptedPeer(family, stackPort: 6000)
        peer.connect(port: 6000)
        let first = peer.expect(.syn)?.tcp.sequence.rawValue ?? 0
        peer.abort()
        peer.host.advance(by: .milliseconds(4))
        peer.history.removeAll()
        peer.connect(port: 6000)
        let second = peer.expect(.syn)?.tcp.sequence.rawValue ?? 0
        #expect(second &- first == 1000)
    }

    @Test(
        "Other secrets and other four-tuples give unrelated numbers [MUST-9, SHLD-1, 6528-1]",
        arguments: Family.allCases)
    func unrelated(family: Family) {
        #if DEBUG
            let count = 300
        #else
            let count = 10_000
        #endif
        let host = listening(family)
        var numbers: [UInt32] = []
        for index in 0..<count {
            numbers.append(isn(host, family, port: UInt16(1024 + index % 50_000), number: 2 + index / 50_000))
        }
        #expect(Set(numbers).count >= count - 2)
        // Differences of neighbours fill the circle: each quarter holds about a quarter of them.
        var quarters = [0, 0, 0, 0]
        for index in 1..<count { quarters[Int((numbers[index] &- numbers[index - 1]) >> 30)] += 1 }
        #expect(quarters.allSatisfy { $0 > count / 4 - count / 10 && $0 < count / 4 + count / 10 }, "\(quarters)")
        // Each bit is set about half of the time.
        for bit in 0..<32 {
            let set = numbers.filter { $0 >> UInt32(bit) & 1 == 1 }.count
            #expect(abs(set - count / 2) < count / 8, "bit \(bit): \(set) of \(count)")
        }
        let other = listening(family, secret: StackSecret(5, 7))
        #expect(isn(other, family, port: 1024) != numbers[0])
    }

    @Test(
        "ISNs differ though the clock stands still and only one part of the four-tuple does [MUST-9]",
        arguments: Family.allCases)
    func eachPart(family: Family) throws {
        let host = listening(family)
        _ = try host.stack.listen(on: 81, at: host.now)
        host.stack.addAddress(AddressPrefix(family.address(7), length: family.prefixLength))
        let base = isn(host, family)
        #expect(isn(host, family) == base, "the same tuple at the same time")
        #expect(isn(host, family, port: 4001) != base)
        #expect(isn(host, family, number: 3) != base)
        let otherPort = ScriptedPeer(family, host: host, stackPort: 81)
        otherPort.send(.syn)
        #expect(otherPort.expect([.syn, .ack])?.tcp.sequence.rawValue != base)
        let otherAddress = ScriptedPeer(family, host: host)
        otherAddress.target.address = family.address(7)
        otherAddress.send(.syn)
        #expect(otherAddress.expect([.syn, .ack])?.tcp.sequence.rawValue != base)
    }

    @Test("A secret does not show in what the stack prints of itself [MUST-9]")
    func notPrinted() {
        let secret = StackSecret(0xDEAD_BEEF_CAFE_F00D, 0x0BAD_C0DE_1234_5678)
        let peer = ScriptedPeer(host: VirtualHost(secret: secret))
        peer.establish()
        let text =
            "\(peer.status as Any) \(peer.host.stack.counters) \(peer.host.stack.memory) \(peer.host.stack.flows())"
        for value in [secret.first, secret.second] {
            #expect(!text.contains("\(value)") && !text.contains(String(value, radix: 16)))
        }
    }

    @Test(
        "A four-tuple used again in TIME-WAIT gets a larger ISN than all it used before [MAY-2, RFC 6528 §3]",
        arguments: Family.allCases)
    func acrossTimeWait(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(400_000)
        for _ in 0..<100 where peer.received < 400_001 {
            peer.discard()
            peer.send(.ack)
        }
        peer.close()
        peer.discard()
        peer.send([.fin, .ack])
        peer.discard()
        peer.expectState(.timeWait)
        guard let old = peer.stackISN else { return }
        peer.host.advance(by: .milliseconds(1))
        peer.checksLedger = false
        peer.send(.syn, seq: 100)
        let answer = peer.expect([.syn, .ack])
        // 400,000 octets in 11 ms outran the clock.
        #expect((answer?.tcp.sequence ?? old) > old + 400_002)
    }
}
