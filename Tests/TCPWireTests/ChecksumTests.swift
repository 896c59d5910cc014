import TCPWire
import Testing

@Suite("The Internet checksum (RFC 1071)")
struct ChecksumTests {
    private func value(_ bytes: [UInt8]) -> UInt16 {
        var checksum = Checksum()
        checksum.add(bytes.span.bytes)
        return checksum.value
    }

    @Test("RFC 1071's own example sums to ddf2")
    func exampleOfTheRFC() {
        var checksum = Checksum()
        checksum.add(hex("0001 f203 f4f5 f6f7").span.bytes)
        #expect(checksum.folded == 0xDDF2)
        #expect(checksum.value == 0x220D)
    }

    @Test("An IPv4 header with a known checksum sums to zero")
    func knownHeader() {
        #expect(value(hex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7")) == 0)
        #expect(value(hex("4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7")) == 0xB861)
    }

    @Test("Nothing sums to nothing")
    func empty() {
        #expect(value([]) == 0xFFFF)
        #expect(Checksum().folded == 0)
    }

    @Test("An odd last octet counts as the first half of a word")
    func odd() {
        #expect(value([0xAB]) == ~0xAB00)
        #expect(value([0x12, 0x34, 0x56]) == value([0x12, 0x34, 0x56, 0x00]))
    }

    @Test("Every length from 0 to 300 agrees with the sum by hand")
    func everyLength() {
        var numbers = Numbers(seed: 2)
        for length in 0...300 {
            let bytes = numbers.bytes(length)
            #expect(value(bytes) == naiveChecksum(bytes), "length \(length)")
            let ones = [UInt8](repeating: 0xFF, count: length)
            #expect(value(ones) == naiveChecksum(ones), "\(length) octets of ones")
        }
    }

    @Test("A span that starts at any octet of memory sums the same")
    func anyAlignment() {
        var numbers = Numbers(seed: 3)
        let bytes = numbers.bytes(200)
        for start in 0..<16 {
            var checksum = Checksum()
            checksum.add(bytes.span.bytes.extracting(start..<start + 101))
            #expect(checksum.value == naiveChecksum(Array(bytes[start..<start + 101])))
        }
    }

    @Test("A super-segment of 65,535 octets, and a mebibyte of ones, do not overflow the sum")
    func large() {
        var numbers = Numbers(seed: 4)
        let random = numbers.bytes(65_535)
        #expect(value(random) == naiveChecksum(random))
        let ones = [UInt8](repeating: 0xFF, count: 1 << 20)
        #expect(value(ones) == 0)
        var checksum = Checksum()
        for _ in 0..<64 { checksum.add(ones.span.bytes) }
        #expect(checksum.value == 0)
    }

    @Test("Parts of even length may be summed apart, in any order")
    func parts() {
        var numbers = Numbers(seed: 5)
        for _ in 0..<trials / 100 {
            let bytes = numbers.bytes(2 + numbers.below(400))
            let cut = numbers.below(bytes.count / 2 + 1) * 2
            var checksum = Checksum()
            checksum.add(bytes.span.bytes.extracting(cut..<bytes.count))
            checksum.add(bytes.span.bytes.extracting(0..<cut))
            #expect(checksum.value == naiveChecksum(bytes))
        }
    }

    @Test("Numbers are added as they stand on the wire")
    func numbers() {
        var checksum = Checksum()
        checksum.add(UInt16(0x0001))
        checksum.add(UInt32(0xF203_F4F5))
        checksum.add(UInt16(0xF6F7))
        #expect(checksum.folded == 0xDDF2)
    }

    @Test("The pseudo-header is RFC 9293's over IPv4 and RFC 8200's over IPv6", arguments: [false, true])
    func pseudoHeaderOfBothFamilies(isIPv6: Bool) {
        var numbers = Numbers(seed: 6)
        for _ in 0..<trials / 20 {
            let source: IPAddress
            let destination: IPAddress
            if isIPv6 {
                source = IPAddress(high: numbers.next() | 1, low: numbers.next())
                destination = IPAddress(high: numbers.next() | 1, low: numbers.next())
            } else {
                source = IPAddress(ipv4: numbers.edgy())
                destination = IPAddress(ipv4: numbers.edgy())
            }
            let payload = numbers.bytes(numbers.below(64))
            let number = UInt8(truncatingIfNeeded: numbers.next())
            var checksum = Checksum()
            checksum.addPseudoHeader(source: source, destination: destination, protocol: number, length: payload.count)
            checksum.add(payload.span.bytes)
            let expected = naiveChecksum(
                pseudoHeader(source, destination, protocol: number, length: payload.count) + payload)
            #expect(checksum.value == expected)
        }
    }

    @Test("Putting the value in its field makes the sum zero")
    func selfCheck() {
        var numbers = Numbers(seed: 7)
        for _ in 0..<trials / 20 {
            var bytes = numbers.bytes(4 + numbers.below(100))
            bytes[2] = 0
            bytes[3] = 0
            let sum = value(bytes)
            bytes[2] = UInt8(sum >> 8)
            bytes[3] = UInt8(sum & 255)
            #expect(value(bytes) == 0)
        }
    }

    @Test("Any single flipped bit is noticed")
    func everyBit() {
        var bytes = hex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7")
        for bit in 0..<bytes.count * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(value(bytes) != 0)
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
        #expect(value(bytes) == 0)
    }
}
