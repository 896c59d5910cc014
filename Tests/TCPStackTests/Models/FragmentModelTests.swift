import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Random datagrams, cut and shuffled at random, with duplicates, against the arrays they were made of.
@Suite("Fragments against arrays")
struct FragmentModelTests {
    #if DEBUG
        static let rounds = 40
    #else
        static let rounds = 400
    #endif

    @Test("Whatever the order, the cuts and the duplicates, what comes out is what went in", arguments: Family.allCases)
    func random(family: Family) {
        for seed in 0..<Self.rounds {
            var random = Pseudorandom(seed: UInt64(seed) &* 2 &+ (family == .ipv4 ? 0 : 1))
            let host = VirtualHost(families: [family])
            var expected: [[UInt8]] = []
            var stream: [Fragment] = []
            for datagram in 0..<Int.random(in: 1...6, using: &random) {
                let data = pattern(
                    Int.random(in: 8...(seed % 8 == 0 ? 60_000 : 4000), using: &random), seed: seed &+ datagram)
                let least = data.count / 100
                let sizes = (0..<100).map { _ in (least / 8 + Int.random(in: 2...80, using: &random)) * 8 }
                var pieces = cut(echoRequest(family, data), sizes: sizes, identification: UInt32(datagram))
                let isMissing = pieces.count > 1 && Int.random(in: 0..<4, using: &random) == 0
                if isMissing {
                    pieces.remove(at: Int.random(in: 0..<pieces.count, using: &random))
                } else {
                    expected.append(data)
                }
                stream += pieces
            }
            stream.shuffle(using: &random)
            deliver(stream, host, family, &random)
            let answers = host.takeEchoes(family)
            #expect(Set(answers) == Set(expected) && answers.count == expected.count, "seed \(seed)")
            #expect(host.stack.audit() == nil, "seed \(seed)")
            for _ in 0..<3 { host.advance(by: .seconds(31)) }
            #expect(host.fragmentBytes == 0 && host.stack.memory.buffers == 0, "seed \(seed)")
        }
    }

    /// Some come twice; a duplicate that comes when its datagram is whole begins another, and goes by its timer. First ones
    /// do not: a datagram all of whose fragments come twice is two.
    private func deliver(_ stream: [Fragment], _ host: VirtualHost, _ family: Family, _ random: inout Pseudorandom) {
        for (index, piece) in stream.enumerated() {
            host.inject(piece, family)
            if Int.random(in: 0..<3, using: &random) == 0 {
                let earlier = stream[Int.random(in: 0...index, using: &random)]
                if earlier.offset > 0 { host.inject(earlier, family) }
            }
        }
    }

    @Test("Random fragments trap nothing, keep the books right, and leave nothing", arguments: Family.allCases)
    func garbage(family: Family) {
        var random = Pseudorandom(seed: 77)
        var configuration = Configuration()
        configuration.reassemblyDatagrams = 6
        configuration.reassemblyBytes = 80 << 10
        configuration.reassemblyFragments = 12
        let host = VirtualHost(configuration, families: [family])
        for step in 0..<Self.rounds * 50 {
            let offset = Int.random(in: 0..<8192, using: &random) & (Bool.random(using: &random) ? 0xF : 0x1FFF)
            let length = Int.random(in: 0..<200, using: &random) * (Bool.random(using: &random) ? 8 : 1)
            var fragment = Fragment(
                offset: offset * 8, octets: pattern(length), hasMore: Int.random(in: 0..<4, using: &random) > 0,
                identification: UInt32.random(in: 0..<8, using: &random))
            fragment.number = [nil, IPProtocol.tcp, 0, 43, 44, 60, 17].randomElement(using: &random) ?? nil
            fragment.trafficClass = UInt8.random(in: 0..<4, using: &random)
            host.inject(fragment, family, from: Int.random(in: 2..<5, using: &random))
            if step % 10 == 0 { host.advance(by: .milliseconds(Int.random(in: 0..<3000, using: &random))) }
            if step % 5 == 0 { #expect(host.stack.audit() == nil) }
        }
        for _ in 0..<3 { host.advance(by: .seconds(31)) }
        #expect(host.fragmentBytes == 0 && host.stack.memory.buffers == 0 && host.stack.nextDeadline == nil)
    }
}

extension Pseudorandom: RandomNumberGenerator {}
