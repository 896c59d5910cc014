import TCPWire
import Testing

@Suite("The Fast Open option (RFC 7413 §4.1.1)")
struct FastOpenOptionTests {
    private let cookie = (1...18).map { UInt8($0 * 13) }

    @Test("A cookie has no octets, or 4 to 16 and an even number [7413-8]", arguments: 0...18)
    func lengths(count: Int) throws {
        let isRight = [0, 4, 6, 8, 10, 12, 14, 16].contains(count)
        var octets = [34, UInt8(count + 2)] + cookie[..<count]
        while octets.count % 4 != 0 { octets.append(1) }
        let read = try parseOptions(octets).fastOpen
        #expect((read != nil) == isRight)
        guard let read else { return }
        #expect(read.count == count && read.isRequest == (count == 0))
        #expect((0..<count).map { read[$0] } == Array(cookie[..<count]))
        var options = TCPOptions()
        options.fastOpen = read
        #expect(options.encodedLength == octets.count)
        let header = TCPHeader(
            sourcePort: 1, destinationPort: 2, sequence: SequenceNumber(3), flags: .syn, options: options)
        // NOPs behind it up to a word, as Linux writes them.
        #expect(Array(written(header).bytes[20...]) == octets)
    }

    @Test("A cookie of sixteen octets finds room beside all other options of a SYN [7413-11]")
    func room() {
        let octets = Array(cookie[..<16])
        var options = TCPOptions()
        options.maximumSegmentSize = 1460
        options.sackPermitted = true
        options.timestamps = TCPTimestamps(value: 1, echo: 2)
        options.windowScale = 7
        options.fastOpen = FastOpenCookie(octets.span.bytes)
        #expect(options.encodedLength == 40)
    }

    @Test("A cookie of eight octets is a number, its highest octet first")
    func number() {
        let cookie = FastOpenCookie(0x0102_0304_0506_0708)
        #expect((0..<cookie.count).map { cookie[$0] } == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(cookie != .request)
    }
}
