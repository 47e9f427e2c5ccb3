from effects.toy_engines import factory
from tfgen.effects import score_variants, ScoreStore

def test_a(world):
    vcf = world.snvs(100)
    s = score_variants(world.config(vcf), factory())
    print(s)
    with ScoreStore(s.output) as st:
        print(st.attributes, st.scores("SAD")[:5], st.columns)
    print((world.folder/'scores.h5.run.json').read_text())
    print(sorted(p.name for p in world.folder.iterdir()))
