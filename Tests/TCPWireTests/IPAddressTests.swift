import TCPWire
import Testing

@Suite("Addresses as text (RFC 4291 §2.2, RFC 5952)")
struct IPAddressTextTests {
    @Test(
        "IPv6 text is read in every form RFC 4291 allows, and written as RFC 5952 says",
        arguments: [
            // RFC 4291 §2.2
            ("ABCD:EF01:2345:6789:ABCD:EF01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"),
            ("2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"),
            ("2001:DB8::8:800:200C:417A", "2001:db8::8:800:200c:417a"),
            ("FF01:0:0:0:0:0:0:101", "ff01::101"), ("FF01::101", "ff01::101"),
            ("0:0:0:0:0:0:0:1", "::1"), ("::1", "::1"),
            ("0:0:0:0:0:0:0:0", "::"), ("::", "::"),
            ("0:0:0:0:0:0:13.1.68.3", "::d01:4403"), ("::13.1.68.3", "::d01:4403"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
            // RFC 5952 §4.1: leading zeros go
            ("2001:0db8::0001", "2001:db8::1"), ("2001:db8:0000:0:0:0:0:00a1", "2001:db8::a1"),
            // §4.2.2: one field of zeros is no run
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            // §4.2.3: the longest run, and of equal ones the first
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("1:0:0:2:0:0:3:0", "1::2:0:0:3:0"),
            // §4.3: lower case
            ("2001:DB8::AaBb", "2001:db8::aabb"),
            // Runs at the ends and in the middle
            ("1::", "1::"), ("0:0:0:0:0:0:0:2", "::2"), ("1:2:3:4:5:6::", "1:2:3:4:5:6::"),
            ("::3:4:5:6:7:8", "::3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("1::8", "1::8"), ("0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"),
            ("fe80::1", "fe80::1"), ("ff02::2", "ff02::2"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ])
    func ipv6(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(!address.isIPv4)
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
    }

    @Test(
        "Text that is no IPv6 address is refused",
        arguments: [
            ":", ":::", "::::", "1", "1:", ":1", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:", "1:2:3:4:5:6:7:",
            ":2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::1::", "1:::2", "1:2:::", ":::1", "12345::", "::00001",
            "::g", "::-1", "::+1", "fe80::1%eth0", "[::1]", "::1/64", " ::1", "::1 ", "1:2:3:4:5:6:7::8",
            "1::2:3:4:5:6:7:8",
            "::1.2.3", "::1.2.3.4.5", "::256.1.1.1", "::01.2.3.4", "1.2.3.4::", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4",
            "0x1::", "::1\0", "१::",
        ])
    func notIPv6(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(
        "IPv4 text is four decimal octets",
        arguments: [
            ("0.0.0.0", 0), ("255.255.255.255", 0xFFFF_FFFF), ("10.0.0.1", 0x0A00_0001), ("192.0.2.33", 0xC000_0221),
            ("127.0.0.1", 0x7F00_0001), ("1.20.255.9", 0x0114_FF09),
        ] as [(String, UInt32)])
    func ipv4(text: String, bits: UInt32) throws {
        let address = try #require(IPAddress(text))
        #expect(address.isIPv4)
        #expect(address.ipv4Bits == bits)
        #expect(address == IPAddress(ipv4: bits))
        #expect(address.description == text)
    }

    @Test(
        "Text that is no IPv4 address is refused",
        arguments: [
            "", ".", "...", "1", "1.2", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.0.0.1", "1.2.3.256",
            "1.2.3.999999999999999999999", "01.2.3.4", "1.2.3.04", "00.0.0.0", "1.2.3.-4", "+1.2.3.4", "1.2.3.4 ",
            " 1.2.3.4",
            "0x1.2.3.4", "1.2.3.4/24", "a.b.c.d", "1,2,3,4", "١.٢.٣.٤", "1.2.3.4\0",
        ])
    func notIPv4(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("The mapped form of an IPv4 address is that IPv4 address")
    func mapped() {
        #expect(IPAddress("::ffff:192.0.2.1") == IPAddress(192, 0, 2, 1))
        #expect(IPAddress("::ffff:c000:201") == IPAddress(192, 0, 2, 1))
    }

    @Test("Every address is read back from its own text")
    func roundTrip() {
        var numbers = Numbers(seed: 9)
        for _ in 0..<trials / 20 {
            // Groups of zero are common, so that every shape of run is met.
            var words: [UInt64] = [0, 0]
            for group in 0..<8 where numbers.below(2) == 0 {
                words[group / 4] |= (numbers.next() & 0xFFFF &>> UInt64(numbers.below(16))) << UInt64(16 * (group % 4))
            }
            let address = IPAddress(high: words[0], low: words[1])
            #expect(IPAddress(address.description) == address, "\(address)")
            let four = IPAddress(ipv4: numbers.edgy())
            #expect(IPAddress(four.description) == four)
        }
    }

    @Test("Random text made of an address's letters never stops the reader")
    func randomText() {
        var numbers = Numbers(seed: 10)
        let letters = Array("0123456789abcdefABCDEF:::::....//[]% g")
        for _ in 0..<trials / 2 {
            let text = String((0..<numbers.below(45)).map { _ in letters[numbers.below(letters.count)] })
            if let address = IPAddress(text) { #expect(IPAddress(address.description) == address, "\(text)") }
            if let prefix = AddressPrefix(text) { #expect(AddressPrefix(prefix.description) == prefix, "\(text)") }
        }
    }
}

@Suite("What an address is")
struct IPAddressKindTests {
    @Test(
        "Hosts may not send from unspecified, multicast or reserved addresses (RFC 1122 §3.2.1.3, RFC 4291 §2.7)",
        arguments: [
            ("0.0.0.0", false), ("0.1.2.3", false), ("1.0.0.0", true), ("127.0.0.1", true), ("192.168.1.1", true),
            ("223.255.255.255", true), ("224.0.0.1", false), ("239.255.255.255", false), ("240.0.0.1", false),
            ("255.255.255.255", false), ("::", false), ("::1", true), ("fe80::1", true), ("2001:db8::1", true),
            ("ff02::1", false), ("ff00::", false), ("feff::1", true),
        ])
    func sources(text: String, isValid: Bool) {
        #expect(IPAddress.of(text).isValidSource == isValid)
    }

    @Test("The special addresses are told apart from their neighbours")
    func special() {
        #expect(IPAddress.of("0.0.0.0").isUnspecified && IPAddress.of("::").isUnspecified)
        #expect(!IPAddress.of("0.0.0.1").isUnspecified && !IPAddress.of("::1").isUnspecified)
        #expect(IPAddress.of("127.0.0.1").isLoopback && IPAddress.of("127.255.255.254").isLoopback)
        #expect(
            IPAddress.of("::1").isLoopback && !IPAddress.of("::2").isLoopback && !IPAddress.of("128.0.0.1").isLoopback)
        #expect(!IPAddress.of("1::1").isLoopback && !IPAddress.of("126.255.255.255").isLoopback)
        #expect(IPAddress.of("224.0.0.0").isMulticast && IPAddress.of("239.255.255.255").isMulticast)
        #expect(!IPAddress.of("223.255.255.255").isMulticast && !IPAddress.of("240.0.0.0").isMulticast)
        #expect(IPAddress.of("ff02::1").isMulticast && !IPAddress.of("fe80::1").isMulticast)
        #expect(IPAddress.of("255.255.255.255").isLimitedBroadcast)
        #expect(!IPAddress.of("255.255.255.254").isLimitedBroadcast)
        #expect(!IPAddress.of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").isLimitedBroadcast)
        #expect(IPAddress.of("1.2.3.4").bitWidth == 32 && IPAddress.of("::1").bitWidth == 128)
    }
}

@Suite("Prefixes and endpoints")
struct AddressPrefixTests {
    @Test(
        "A prefix is an address, a slash and a length that fits the family",
        arguments: [
            ("10.0.0.1/24", "10.0.0.1/24"), ("10.0.0.1", "10.0.0.1/32"), ("0.0.0.0/0", "0.0.0.0/0"),
            ("10.0.0.1/32", "10.0.0.1/32"), ("fd00::1/64", "fd00::1/64"), ("fd00::1", "fd00::1/128"), ("::/0", "::/0"),
            ("FD00::0001/128", "fd00::1/128"),
        ])
    func reads(text: String, canonical: String) throws {
        let prefix = try #require(AddressPrefix(text))
        #expect(prefix.description == canonical)
        #expect(AddressPrefix(canonical) == prefix)
    }

    @Test(
        "Text that is no prefix is refused",
        arguments: [
            "", "/", "/24", "10.0.0.1/", "10.0.0.1/33", "fd00::1/129", "10.0.0.1/-1", "10.0.0.1/24/24", "10.0.0.1/ 24",
            "10.0.0.1/24 ", "10.0.0.1/0x18", "10.0.0.1/255.255.255.0", "10.0.0/24", "fd00::1/9999999999999999999",
            "x/24",
        ])
    func refuses(text: String) {
        #expect(AddressPrefix(text) == nil)
    }

    @Test("A length out of range is clamped to the family's width")
    func clamps() {
        #expect(AddressPrefix(IPAddress(10, 0, 0, 1), length: 99).length == 32)
        #expect(AddressPrefix(IPAddress(10, 0, 0, 1), length: -1).length == 0)
        #expect(AddressPrefix(.of("::1"), length: 200).length == 128)
    }

    @Test("Containing agrees with a comparison bit by bit, at every length of both families")
    func contains() {
        var numbers = Numbers(seed: 11)
        func bits(_ address: IPAddress) -> [Bool] {
            octets(address).flatMap { octet in (0..<8).map { octet >> (7 - UInt8($0)) & 1 == 1 } }
        }
        for _ in 0..<max(4, trials / 2_000) {
            let pairs = [
                (IPAddress(ipv4: numbers.edgy()), 32),
                (IPAddress(high: numbers.next() | 1 << 63, low: numbers.next()), 128),
            ]
            for (address, width) in pairs {
                for length in 0...width {
                    let flip = numbers.below(width)
                    var other = address
                    if width == 32 {
                        other = IPAddress(ipv4: address.ipv4Bits ^ 1 << UInt32(31 - flip))
                    } else if flip < 64 {
                        other.high ^= 1 << UInt64(63 - flip)
                    } else {
                        other.low ^= 1 << UInt64(127 - flip)
                    }
                    guard other.isIPv4 == address.isIPv4 else { continue }
                    let prefix = AddressPrefix(address, length: length)
                    #expect(prefix.contains(address))
                    #expect(prefix.contains(other) == (bits(address).prefix(length) == bits(other).prefix(length)))
                }
            }
        }
    }

    @Test("A prefix of one family contains nothing of the other, not even of length zero")
    func families() {
        #expect(!AddressPrefix("0.0.0.0/0")!.contains(.of("::1")))
        #expect(!AddressPrefix("::/0")!.contains(.of("10.0.0.1")))
        #expect(AddressPrefix("0.0.0.0/0")!.contains(.of("10.0.0.1")))
        #expect(AddressPrefix("::/0")!.contains(.of("2001:db8::1")))
    }

    @Test("The directed broadcast is the prefix with a host part of ones; /31 and /32 have none (RFC 3021)")
    func broadcast() {
        let prefix = AddressPrefix("10.1.2.3/24")!
        #expect(prefix.isBroadcast(.of("10.1.2.255")))
        #expect(!prefix.isBroadcast(.of("10.1.2.254")))
        #expect(!prefix.isBroadcast(.of("10.1.3.255")))
        #expect(AddressPrefix("10.1.2.3/30")!.isBroadcast(.of("10.1.2.3")))
        #expect(!AddressPrefix("10.1.2.3/31")!.isBroadcast(.of("10.1.2.3")))
        #expect(!AddressPrefix("10.1.2.3/32")!.isBroadcast(.of("10.1.2.3")))
        #expect(!AddressPrefix("fd00::/64")!.isBroadcast(.of("fd00::ffff:ffff:ffff:ffff")))
    }

    @Test("Endpoints are written with brackets round IPv6")
    func endpoints() {
        #expect(Endpoint(.of("10.0.0.1"), 80).description == "10.0.0.1:80")
        #expect(Endpoint(.of("fd00::1"), 65535).description == "[fd00::1]:65535")
    }
}
