import TCPWire
import Testing

@Suite("TCP options (RFC 9293 §3.2, RFC 7323, RFC 2018)")
struct TCPOptionsTests {
    static func random(_ numbers: inout Numbers) -> TCPOptions {
        var options = TCPOptions()
        if numbers.below(2) == 0 { options.maximumSegmentSize = UInt16(truncatingIfNeeded: numbers.edgy()) }
        if numbers.below(2) == 0 { options.windowScale = UInt8(numbers.below(15)) }
        if numbers.below(2) == 0 { options.sackPermitted = true }
        if numbers.below(2) == 0 { options.timestamps = TCPTimestamps(value: numbers.edgy(), echo: numbers.edgy()) }
        if numbers.below(4) == 0 {
            let octets = numbers.bytes([0, 4, 6, 8, 10, 12, 14, 16][numbers.below(8)])
            options.fastOpen = FastOpenCookie(octets.span.bytes)
        }
        for _ in 0..<numbers.below(5) {
            let block = SACKBlock(start: SequenceNumber(numbers.edgy()), end: SequenceNumber(numbers.edgy()))
            options.appendSACK(block)
        }
        return options
    }

    /// Blocks that found no room in 40 octets are the last ones.
    static func expectSame(_ read: TCPOptions, _ sent: TCPOptions) {
        #expect(read.maximumSegmentSize == sent.maximumSegmentSize)
        #expect(read.windowScale == sent.windowScale)
        #expect(read.sackPermitted == sent.sackPermitted)
        #expect(read.timestamps == sent.timestamps)
        #expect(read.fastOpen == sent.fastOpen)
        #expect(read.blocks == Array(sent.blocks.prefix(read.sackCount)))
    }

    private func written(_ options: TCPOptions) -> [UInt8] {
        let header = TCPHeader(
            sourcePort: 1, destinationPort: 2, sequence: SequenceNumber(3), flags: .ack, options: options)
        return Array(TCPWireTests.written(header).bytes[20...])
    }

    @Test("End of list, no-operation and MSS are understood (RFC 9293 MUST-4)")
    func mandatory() throws {
        #expect(try parseOptions(hex("0101 0204 02bc 0000")).maximumSegmentSize == 700)
        #expect(try parseOptions([]).maximumSegmentSize == nil)
        #expect(try parseOptions(hex("00000000")).maximumSegmentSize == nil)
        #expect(try parseOptions(hex("01010101")).maximumSegmentSize == nil)
    }

    @Test("MSS, window scale, SACK permitted, SACK and timestamps are read")
    func all() throws {
        let syn = try parseOptions(hex("020405b4 0402 080a 11223344 55667788 01 030307"))
        #expect(syn.maximumSegmentSize == 1460)
        #expect(syn.sackPermitted)
        #expect(syn.timestamps == TCPTimestamps(value: 0x1122_3344, echo: 0x5566_7788))
        #expect(syn.windowScale == 7)
        #expect(syn.sackCount == 0)
        let sack = try parseOptions(hex("0101 050a 00000005 00000009"))
        #expect(sack.blocks == [SACKBlock(start: SequenceNumber(5), end: SequenceNumber(9))])
        #expect(!sack.sackPermitted)
    }

    @Test("Options may start at any octet (RFC 9293 MUST-64)")
    func unaligned() throws {
        for pad in 0..<4 {
            let nops = [UInt8](repeating: 1, count: pad)
            #expect(try parseOptions(nops + hex("020405b4")).maximumSegmentSize == 1460)
            #expect(
                try parseOptions(nops + hex("080a 00000007 00000009")).timestamps == TCPTimestamps(value: 7, echo: 9))
            let blocks = try parseOptions(nops + hex("0512 fffffff0 00000010 00000020 00000030")).blocks
            #expect(blocks.map(\.start.rawValue) == [0xFFFF_FFF0, 0x20])
            #expect(blocks.map(\.end.rawValue) == [0x10, 0x30])
            #expect(try parseOptions(nops + hex("03030e")).windowScale == 14)
        }
    }

    @Test("An unknown option is passed over by its length, and those behind it are read (RFC 9293 MUST-6)")
    func unknown() throws {
        for kind in 6..<256 where kind != 8 {
            let options = try parseOptions(hex("020405b4") + [UInt8(kind), 6, 1, 2, 3, 4] + hex("0402"))
            #expect(options.maximumSegmentSize == 1460)
            #expect(options.sackPermitted)
        }
        #expect(try parseOptions(hex("fd02 0402")).sackPermitted, "a length of two is the shortest")
    }

    @Test(
        "A length of 0, 1, or past the header is refused, for every kind but end of list and NOP (RFC 9293 MUST-7, MUST-68)"
    )
    func impossibleLengths() {
        for kind in 2..<256 {
            for length in [0, 1, 9, 41, 255] {
                let bytes = [UInt8(kind), UInt8(length), 0, 0, 0, 0, 0, 0]
                #expect(throws: PacketFault.badOption, "kind \(kind), length \(length)") { try parseOptions(bytes) }
            }
            #expect(throws: PacketFault.badOption, "kind \(kind) without a length") {
                try parseOptions([1, 1, 1, UInt8(kind)])
            }
        }
    }

    @Test("What stands behind the end of the list is ignored, even if it is nonsense (RFC 9293 MUST-69)")
    func behindTheEnd() throws {
        let options = try parseOptions(hex("020405b4 00 0402 08 00 ff 01 02"))
        #expect(options.maximumSegmentSize == 1460)
        #expect(!options.sackPermitted)
    }

    @Test("A known option of the wrong length is passed over like an unknown one")
    func wrongLength() throws {
        #expect(try parseOptions(hex("0203 05 0402")).maximumSegmentSize == nil)
        #expect(try parseOptions(hex("0206 05b40000 0402")).maximumSegmentSize == nil)
        #expect(try parseOptions(hex("0304 0700 0402")).windowScale == nil)
        #expect(try parseOptions(hex("0403 00 01")).sackPermitted == false)
        #expect(try parseOptions(hex("0809 000000 00000000 0402")).timestamps == nil)
        #expect(try parseOptions(hex("0502 0402")).sackCount == 0)
        #expect(try parseOptions(hex("0509 00000001 000000 0402")).sackCount == 0)
        #expect(try parseOptions(hex("0203 05 0402")).sackPermitted)
    }

    @Test("Of an option that comes twice the later one counts, and never both")
    func duplicates() throws {
        #expect(try parseOptions(hex("020405b4 02040218")).maximumSegmentSize == 536)
        #expect(try parseOptions(hex("030307 030301 0101")).windowScale == 1)
        let twice = hex("080a 00000001 00000002 080a 00000003 00000004")
        #expect(try parseOptions(twice).timestamps == TCPTimestamps(value: 3, echo: 4))
        let blocks = try parseOptions(hex("0512 00000001 00000002 00000003 00000004 050a 00000005 00000006")).blocks
        #expect(blocks == [SACKBlock(start: SequenceNumber(5), end: SequenceNumber(6))])
    }

    @Test("At most four SACK blocks are kept, in the order of the wire")
    func fourBlocks() throws {
        let text = (1...4).map { "0000000\($0) 0000001\($0)" }.joined()
        let options = try parseOptions(hex("0101 0522" + text))
        #expect(options.blocks.map(\.start.rawValue) == [1, 2, 3, 4])
        var full = options
        full.appendSACK(SACKBlock(start: SequenceNumber(9), end: SequenceNumber(10)))
        #expect(full.blocks == options.blocks)
    }

    @Test("MSS of any value is read as it stands", arguments: [0, 1, 12, 13, 536, 65_535] as [UInt16])
    func anyMSS(value: UInt16) throws {
        #expect(try parseOptions([2, 4] + big16(Int(value))).maximumSegmentSize == value)
    }

    @Test(
        "Options written keep to words, pad with NOPs or zeros, and give every kind its length (RFC 9293 MUST-68, MUST-69)"
    )
    func writtenForm() {
        var options = TCPOptions()
        #expect(written(options) == [])
        options.maximumSegmentSize = 1460
        #expect(written(options) == hex("020405b4"))
        options.sackPermitted = true
        options.timestamps = TCPTimestamps(value: 0x1122_3344, echo: 0)
        options.windowScale = 7
        #expect(written(options) == hex("020405b4 0402080a 11223344 00000000 01030307"))
        options.timestamps = nil
        #expect(written(options) == hex("020405b4 01010402 01030307"))
        options = TCPOptions()
        options.timestamps = TCPTimestamps(value: 1, echo: 2)
        #expect(written(options) == hex("0101080a 00000001 00000002"), "RFC 7323 appendix A")
        options.appendSACK(SACKBlock(start: SequenceNumber(5), end: SequenceNumber(9)))
        #expect(written(options) == hex("0101080a 00000001 00000002 0101050a 00000005 00000009"))
    }

    @Test("Never more than 40 octets are written: with timestamps there is room for three SACK blocks (RFC 2018 §3)")
    func room() throws {
        var options = TCPOptions()
        options.timestamps = TCPTimestamps(value: 1, echo: 2)
        for index in 1...4 as ClosedRange<UInt32> {
            options.appendSACK(SACKBlock(start: SequenceNumber(index), end: SequenceNumber(index + 100)))
        }
        #expect(options.encodedLength == 40)
        let read = try parseOptions(written(options))
        #expect(read.blocks.map(\.start.rawValue) == [1, 2, 3])
        #expect(read.timestamps == options.timestamps)
        options.timestamps = nil
        #expect(options.encodedLength == 36)
        #expect(try parseOptions(written(options)).sackCount == 4)
    }

    @Test("Where there is no room for all options, accurate ECN loses fields, and then goes (RFC 9768 §3.2.3)")
    func roomForAccurateECN() throws {
        var options = TCPOptions()
        options.maximumSegmentSize = 1460
        options.windowScale = 7
        options.accurateECN = AccurateECNOption(ect0: 1, congestion: 2, ect1: 3, beginsWithECT1: false, count: 3)
        options.fastOpen = FastOpenCookie(0x0102_0304_0506_0708)
        options.timestamps = TCPTimestamps(value: 1, echo: 2)
        // 4, 4, 12 and 12 octets leave eight: two fields.
        #expect(options.encodedLength == 40)
        var read = try parseOptions(written(options))
        #expect(read.accurateECN?.count == 2 && read.accurateECN?.ect0 == 1 && read.accurateECN?.congestion == 2)
        #expect(read.fastOpen == options.fastOpen && read.timestamps == options.timestamps)
        let long = [UInt8](repeating: 7, count: 16)
        options.fastOpen = FastOpenCookie(long.span.bytes)
        // 4, 4, 12 and 20 octets leave none.
        #expect(options.encodedLength == 40)
        read = try parseOptions(written(options))
        #expect(read.accurateECN == nil && read.fastOpen?.count == 16)
    }

    @Test("Whatever options are asked for, what is written fits, and is read back")
    func roundTrip() throws {
        var numbers = Numbers(seed: 17)
        for _ in 0..<trials / 10 {
            let options = Self.random(&numbers)
            let bytes = written(options)
            #expect(bytes.count == options.encodedLength && bytes.count % 4 == 0 && bytes.count <= 40)
            let read = try parseOptions(bytes)
            Self.expectSame(read, options)
            // The first block has a head of its own.
            let next = read.sackCount == 0 ? 12 : 8
            if options.sackCount > 0 && bytes.count + next <= 40 { #expect(read.sackCount == options.sackCount) }
        }
    }

    @Test("Random lists of options are read as a plain reading of the RFC reads them (B-20)")
    func againstPlainReading() {
        var numbers = Numbers(seed: 18)
        for _ in 0..<trials {
            let bytes = randomList(&numbers)
            let expected = plainReading(bytes)
            let actual = try? parseOptions(bytes)
            #expect((actual == nil) == (expected == nil), "\(bytes)")
            guard let actual, let expected else { continue }
            #expect(actual.maximumSegmentSize == expected.maximumSegmentSize, "\(bytes)")
            #expect(actual.windowScale == expected.windowScale, "\(bytes)")
            #expect(actual.sackPermitted == expected.sackPermitted, "\(bytes)")
            #expect(actual.timestamps == expected.timestamps, "\(bytes)")
            #expect(actual.blocks == expected.blocks, "\(bytes)")
        }
    }

    /// Mostly well-formed options, some nonsense, cut to 40 octets.
    private func randomList(_ numbers: inout Numbers) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<numbers.below(8) {
            switch numbers.below(10) {
            case 0: bytes += [1]
            case 1: bytes += [2, 4] + numbers.bytes(2)
            case 2: bytes += [3, 3] + numbers.bytes(1)
            case 3: bytes += [4, 2]
            case 4:
                let blocks = numbers.below(4)
                bytes += [5, UInt8(2 + 8 * blocks)] + numbers.bytes(8 * blocks)
            case 5: bytes += [8, 10] + numbers.bytes(8)
            case 6: bytes += hex("0101080a") + numbers.bytes(8)
            case 7: bytes += [UInt8(numbers.below(256)), 5] + numbers.bytes(3)
            case 8: bytes += [UInt8(numbers.below(10)), UInt8(numbers.below(14))] + numbers.bytes(numbers.below(12))
            default: bytes += numbers.bytes(numbers.below(6))
            }
        }
        return Array(bytes.prefix(40))
    }

    private struct Reading {
        var maximumSegmentSize: UInt16?
        var windowScale: UInt8?
        var sackPermitted = false
        var timestamps: TCPTimestamps?
        var blocks: [SACKBlock] = []
    }

    private func plainReading(_ bytes: [UInt8]) -> Reading? {
        var reading = Reading()
        var rest = bytes[...]
        while let kind = rest.first, kind != 0 {
            if kind == 1 {
                rest = rest.dropFirst()
                continue
            }
            guard let length = rest.dropFirst().first, length >= 2, rest.count >= Int(length) else { return nil }
            let body = Array(rest.dropFirst(2).prefix(Int(length) - 2))
            rest = rest.dropFirst(Int(length))
            let words = stride(from: 0, to: body.count - body.count % 4, by: 4).map { start in
                body[start..<start + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            }
            switch (kind, length) {
            case (2, 4): reading.maximumSegmentSize = UInt16(body[0]) << 8 | UInt16(body[1])
            case (3, 3): reading.windowScale = body[0]
            case (4, 2): reading.sackPermitted = true
            case (5, 10), (5, 18), (5, 26), (5, 34):
                reading.blocks = stride(from: 0, to: words.count, by: 2).map {
                    SACKBlock(start: SequenceNumber(words[$0]), end: SequenceNumber(words[$0 + 1]))
                }
            case (8, 10): reading.timestamps = TCPTimestamps(value: words[0], echo: words[1])
            default: break
            }
        }
        return reading
    }
}
