import TCPWire
import Testing

@Suite struct AddressScopeTests {
    @Test(
        "An address has the scope RFC 6724 §3 gives it",
        arguments: [
            ("fe80::1", 2), ("::1", 2), ("fec0::1", 5), ("2001:db8::1", 14), ("fd00::1", 14), ("ff02::1", 2),
            ("ff05::2", 5), ("ff0e::1", 14), ("127.0.0.1", 2), ("169.254.1.1", 2), ("10.0.0.1", 14), ("192.0.2.1", 14),
        ])
    func scopes(text: String, scope: UInt8) throws {
        #expect(try #require(IPAddress(text)).scope == scope)
    }

    @Test(
        "An address has the label of RFC 6724 §2.1's table",
        arguments: [
            ("::1", 0), ("2001:db8::1", 1), ("192.0.2.1", 4), ("2002::1", 2), ("2001::1", 5), ("fd00::1", 13),
            ("fc00::1", 13), ("::2", 3), ("fec0::1", 11), ("3ffe::1", 12), ("fe80::1", 1),
        ])
    func labels(text: String, label: UInt8) throws {
        #expect(try #require(IPAddress(text)).policyLabel == label)
    }

    @Test("Common bits are counted from the first on")
    func common() {
        #expect(IPAddress(10, 0, 0, 1).commonPrefixLength(with: IPAddress(10, 0, 0, 3)) == 30)
        #expect(IPAddress(10, 0, 0, 1).commonPrefixLength(with: IPAddress(138, 0, 0, 1)) == 0)
        #expect(IPAddress(10, 0, 0, 1).commonPrefixLength(with: IPAddress(10, 0, 0, 1)) == 32)
        let one = IPAddress(high: 1, low: 0)
        #expect(one.commonPrefixLength(with: IPAddress(high: 0, low: 0)) == 63)
        #expect(one.commonPrefixLength(with: IPAddress(high: 1, low: 1)) == 127)
        #expect(one.commonPrefixLength(with: one) == 128)
        #expect(one.commonPrefixLength(with: IPAddress(10, 0, 0, 1)) == 0)
    }
}
