import TCPWire
import Testing

/// Nothing that comes off the wire can trap: these tests fail by ending the process.
@Suite("Random bytes")
struct RandomBytesTests {
    #if DEBUG
        private static let cases = 20_000
    #else
        private static let cases = 400_000
    #endif

    @Test("Random bytes are read as packets, or refused with a reason, and never stop the program")
    func packets() {
        var numbers = Numbers(seed: 19)
        var taken = 0
        for _ in 0..<Self.cases {
            var bytes = numbers.bytes(numbers.below(120))
            // Three in four get far enough to matter: a version, and an IPv4 checksum that is right.
            if bytes.count >= 20, numbers.below(4) > 0 { mend(&bytes, &numbers) }
            guard let header = try? parseIP(bytes) else { continue }
            taken += 1
            #expect(header.headerLength <= header.totalLength && header.totalLength <= bytes.count)
            let transport = Array(bytes[header.headerLength..<header.totalLength])
            if let segment = try? parseTCP(transport) {
                #expect((20...60).contains(segment.headerLength) && segment.headerLength <= transport.count)
                #expect((0...4).contains(segment.options.sackCount))
            }
            _ = isChecksumValid(transport, source: header.source, destination: header.destination)
            _ = try? parseICMP4(transport)
            _ = try? parseICMP6(transport, header.source, header.destination)
        }
        #expect(taken > Self.cases / 20, "only \(taken) packets got past the IP header: the test lost its edge")
    }

    @Test("Random bytes are read as TCP headers, or refused with a reason")
    func segments() {
        var numbers = Numbers(seed: 20)
        var taken = 0
        for _ in 0..<Self.cases {
            var bytes = numbers.bytes(numbers.below(80))
            if bytes.count >= 20 { bytes[12] = UInt8(5 + numbers.below(11)) << 4 | bytes[12] & 0xF }
            guard let header = try? parseTCP(bytes) else { continue }
            taken += 1
            // What was read can be written, and is the same when read again.
            let (again, strayed) = written(header)
            #expect(!strayed)
            let read = try? parseTCP(again)
            #expect(read?.flags == header.flags && read?.sequence == header.sequence)
        }
        #expect(taken > Self.cases / 20)
    }

    @Test("Random quotations in ICMP errors are read or refused")
    func quotations() {
        var numbers = Numbers(seed: 21)
        var understood = 0
        for _ in 0..<Self.cases / 4 {
            var bytes = numbers.bytes(8 + numbers.below(90))
            bytes[0] = [3, 4, 8, 11, 12][numbers.below(5)]
            if bytes.count > 17 {
                bytes[8] = 0x40 | UInt8(numbers.below(16))
                bytes[17] = 6
                // Mostly no fragment, whose quotation has no ports.
                if numbers.below(4) > 0 { bytes.replaceSubrange(14..<16, with: [0x40, 0]) }
            }
            bytes[2] = 0
            bytes[3] = 0
            let sum = naiveChecksum(bytes)
            bytes[2] = UInt8(sum >> 8)
            bytes[3] = UInt8(sum & 255)
            if case .error? = try? parseICMP4(bytes) { understood += 1 }
        }
        #expect(understood > Self.cases / 80)
    }

    private func mend(_ bytes: inout [UInt8], _ numbers: inout Numbers) {
        if numbers.below(2) == 0 {
            bytes[0] = 0x40 | UInt8(5 + numbers.below(3))
            let total = numbers.below(bytes.count + 4)
            bytes[2] = 0
            bytes[3] = UInt8(total)
            bytes[9] = [6, 1, 17, 6][numbers.below(4)]
            let length = Int(bytes[0] & 0xF) * 4
            // Half of the options are no-operations, so that the walk ends well now and then.
            if length <= bytes.count, numbers.below(2) == 0 { for index in 20..<max(length, 20) { bytes[index] = 1 } }
            guard length <= bytes.count else { return }
            bytes[10] = 0
            bytes[11] = 0
            let sum = naiveChecksum(Array(bytes[..<length]))
            bytes[10] = UInt8(sum >> 8)
            bytes[11] = UInt8(sum & 255)
        } else {
            bytes[0] = 0x60 | bytes[0] & 0xF
            bytes[4] = 0
            bytes[5] = UInt8(numbers.below(80))
            bytes[6] = [0, 6, 43, 44, 58, 60][numbers.below(6)]
            // Extension headers that are short, and lead on to others.
            var offset = 40
            while offset + 8 <= bytes.count {
                bytes[offset] = [0, 6, 43, 44, 58, 60][numbers.below(6)]
                bytes[offset + 1] = UInt8(numbers.below(3))
                bytes[offset + 2] = [0, 1, 5, 0][numbers.below(4)]
                bytes[offset + 3] = UInt8(numbers.below(5))
                offset += 8
            }
        }
    }
}
