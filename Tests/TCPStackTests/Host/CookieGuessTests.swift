import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What a guess at a cookie is worth: RFC 4987 §3.6 leaves it to the hash.
@Suite("Guessing SYN cookies")
struct CookieGuessTests {
    #if DEBUG
        static let guesses = 1 << 14
    #else
        static let guesses = 1 << 24
    #endif

    private let secret = StackSecret(0x1234_5678_9ABC_DEF0, 99)
    private let now = Instant(nanoseconds: 1_000 * SynCookie.step)

    private func key(_ port: Int) -> FlowKey {
        FlowKey(
            remote: IPAddress(ipv4: 0x0A00_0002), remotePort: UInt16(truncatingIfNeeded: port), local: 0, localPort: 80)
    }

    private func verify(_ number: SequenceNumber, _ port: Int) -> SynCookie? {
        SynCookie.verify(number, key(port), peerInitial: SequenceNumber(7), echo: nil, listener: 1, at: now, secret)
    }

    @Test("Of 2^32 acknowledgments 16 are good: eight sizes at each of two counts [4987-2]")
    func sixteen() {
        for port in 1...50 {
            var good: Set<UInt32> = []
            for index in 0..<8 {
                var cookie = SynCookie(TCPOptions(), isIPv4: true, timestamps: false, sack: false, scaling: false)
                cookie.sizeIndex = index
                for age in -2...2 {
                    let count = SynCookie.count(at: now) - Int64(age)
                    let number = cookie.number(
                        key(port), peerInitial: SequenceNumber(7), listener: 1, count: count, secret)
                    let found = verify(number, port)
                    #expect((found == cookie) == (age == 0 || age == 1))
                    if found != nil { good.insert(number.rawValue) }
                }
            }
            #expect(good.count == 16)
            // Nothing near a good one is good.
            for number in good {
                for bit in 0..<32 {
                    let other = number ^ 1 << bit
                    #expect(verify(SequenceNumber(other), port) == nil || good.contains(other))
                }
            }
        }
    }

    @Test("A guess is worth 2^-28: of 2^24 none or next to none is taken [4987-2]")
    func guesses() {
        var random = WheelRandom(state: 11)
        var taken = 0
        for guess in 0..<Self.guesses {
            if verify(SequenceNumber(UInt32(truncatingIfNeeded: random.next())), guess) != nil { taken += 1 }
        }
        #expect(taken <= 1)
    }

    @Test(
        "What is guessed at is spread evenly, and changes with all that it is made of [RFC 6528 §3]"
    )
    func spread() {
        let cookie = SynCookie(TCPOptions(), isIPv4: true, timestamps: false, sack: false, scaling: false)
        func number(_ port: Int, _ peerInitial: UInt32 = 7, _ count: Int64 = 5, _ listener: UInt32 = 1) -> UInt32 {
            cookie.number(
                key(port), peerInitial: SequenceNumber(peerInitial), listener: listener, count: count, secret
            ).rawValue
        }
        let count = 4000
        var ones = [Int](repeating: 0, count: 32)
        var flips = [Int](repeating: 0, count: 32)
        for port in 0..<count {
            let base = number(port)
            // One thing changes by one: the port, the peer's ISN, the count, the listener.
            let others = [number(port ^ 1), number(port, 6), number(port, 7, 4), number(port, 7, 5, 0)]
            let changed = base ^ others[port % 4]
            for bit in 3..<32 {
                ones[bit] += Int(base >> bit & 1)
                flips[bit] += Int(changed >> bit & 1)
            }
        }
        // Six standard deviations of a fair coin thrown so often.
        let bound = 6 * 32
        for bit in 3..<32 {
            #expect(abs(ones[bit] - count / 2) < bound, "bit \(bit) is one \(ones[bit]) times")
            #expect(abs(flips[bit] - count / 2) < bound, "bit \(bit) flips \(flips[bit]) times")
        }
    }

    @Test(
        "Forged third segments make nothing while cookies are out [4987-2]",
        arguments: Family.allCases)
    func forged(family: Family) throws {
        #if DEBUG
            let count = 2_000
        #else
            let count = 200_000
        #endif
        var configuration = Configuration()
        configuration.synCookies = .always
        let peer = ScriptedPeer(family, configuration)
        peer.beginPassive()
        let before = peer.host.stack.memory
        var random = WheelRandom(state: 3)
        for index in 0..<count {
            let forged = Injection(
                source: Endpoint(family.address(100 + index % 500), UInt16(1024 + index / 500)),
                destination: peer.target, sequence: SequenceNumber(UInt32(truncatingIfNeeded: random.next())),
                acknowledgment: SequenceNumber(UInt32(truncatingIfNeeded: random.next())), flags: .ack)
            peer.host.inject(forged.packet())
        }
        #expect(peer.host.stack.memory == before)
        #expect(peer.host.stack.counters.cookiesRefused == UInt64(count))
        #expect(peer.host.strays.count == count && peer.host.strays.allSatisfy { $0.flags == .rst })
    }
}
