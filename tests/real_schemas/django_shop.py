"""django-oscar, a shop: its own migrations and a catalogue made through its models.

A program of its own, run with the folder that holds Django on its path: `python FILE DATABASE_URL`.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from urllib.parse import unquote, urlsplit


def configure(url: str) -> None:
    """Settings of a shop, as its documentation gives them."""
    from django.conf import settings  # noqa: PLC0415 - on the path only here
    from oscar import INSTALLED_APPS, defaults  # type: ignore[import-not-found] # noqa: PLC0415

    place = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(place.path[1:]),
        "USER": unquote(place.username or ""),
        "PASSWORD": unquote(place.password or ""),
        "HOST": place.hostname,
        "PORT": place.port,
    }
    shop = {name: getattr(defaults, name) for name in dir(defaults) if name.startswith("OSCAR")}
    settings.configure(
        **{
            **shop,
            "INSTALLED_APPS": INSTALLED_APPS,
            "DATABASES": {"default": database},
            "HAYSTACK_CONNECTIONS": {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
            "DEFAULT_AUTO_FIELD": "django.db.models.AutoField",
            "SITE_ID": 1,
            "SECRET_KEY": "only for a test",
            "USE_TZ": True,
            "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        }
    )


def trade() -> None:
    """A few categories, products, customers and baskets."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415
    from oscar.core.loading import get_model  # type: ignore[import-not-found] # noqa: PLC0415

    category, product = get_model("catalogue", "Category"), get_model("catalogue", "Product")
    kind = get_model("catalogue", "ProductClass").objects.create(name="T-shirts", track_stock=True)
    partner = get_model("partner", "Partner").objects.create(name="Ünited Shïrts")
    roots = [category.add_root(name=f"Root {n}", slug=f"root-{n}") for n in range(3)]
    for root in roots:
        for n in range(4):
            root.add_child(name=f"Child {n} of {root.name}", slug=f"child-{n}")
    products = []
    for n in range(120):
        item = product.objects.create(
            structure="standalone", title=f"Shirt {n} 👕", product_class=kind, upc=f"upc-{n}", description="'\"\\\n"
        )
        item.categories.add(category.objects.all()[n % 15])
        get_model("partner", "StockRecord").objects.create(
            product=item, partner=partner, partner_sku=f"sku-{n}", price=Decimal("19.95") + n, num_in_stock=n
        )
        products.append(item)
    for n in range(40):
        user = get_user_model().objects.create_user(f"user-{n}", f"user{n}@example.org", "secret")
        basket = get_model("basket", "Basket").objects.create(owner=user)
        get_model("catalogue", "ProductRecommendation").objects.create(
            primary=products[n], recommendation=products[n + 1], ranking=n
        )
        basket.save()


def main() -> None:
    """Migrate, then trade."""
    configure(sys.argv[1])
    import django  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    django.setup()
    call_command("migrate", verbosity=0)
    trade()


if __name__ == "__main__":
    main()
